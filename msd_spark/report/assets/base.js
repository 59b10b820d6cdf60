// Shared by all scripts: data loaded as scripts, elements built without markup, the theme.
// Scripts opened from disk cannot be modules, so there is one global name.
'use strict';

window.msd = (() => {
  const received = new Map();
  const waiting = new Map();

  // A data file calls this; see msd_spark/report/scripts.py.
  function receive(name, content) {
    received.set(name, content);
    if (waiting.has(name)) waiting.get(name).resolve(content);
  }

  // Run a script beside the report, once.
  const scripts = new Map();

  function run(src) {
    if (!scripts.has(src)) {
      scripts.set(src, new Promise((resolve, reject) => {
        const script = document.createElement('script');
        script.src = src;
        script.onload = () => {
          script.remove();
          resolve();
        };
        script.onerror = () => {
          scripts.delete(src);
          reject(new Error(`${src} cannot be read; copy the whole folder of the report`));
        };
        document.head.append(script);
      }));
    }
    return scripts.get(src);
  }

  // The content of data/NAME.js, loaded on first use.
  function load(name) {
    if (received.has(name)) return Promise.resolve(received.get(name));
    if (!waiting.has(name)) {
      const entry = {};
      entry.promise = new Promise((resolve, reject) => Object.assign(entry, { resolve, reject }));
      waiting.set(name, entry);
      run(`data/${name}.js`).catch((error) => {
        waiting.delete(name);
        entry.reject(error);
      });
    }
    return waiting.get(name).promise;
  }

  // The same, without keeping it, for large content that is used once.
  async function take(name) {
    const content = await load(name);
    received.delete(name);
    waiting.delete(name);
    scripts.delete(`data/${name}.js`);
    return content;
  }

  const ARRAYS = { uint8: Uint8Array, int16: Int16Array, uint16: Uint16Array, uint32: Uint32Array, float32: Float32Array };

  function unpack({ type, bytes }) {
    if (Uint8Array.fromBase64) return new ARRAYS[type](Uint8Array.fromBase64(bytes).buffer);
    const text = atob(bytes);
    const raw = new Uint8Array(text.length);
    for (let i = 0; i < text.length; i++) raw[i] = text.charCodeAt(i);
    return new ARRAYS[type](raw.buffer);
  }

  const LEVELS = 254;

  // A matrix from bytes, row after row, with the minimum and maximum of each row; NaN is 255. See `packed_rows` in scripts.py.
  function unpackRows({ levels, low, high }) {
    const bytes = unpack(levels), lows = unpack(low), highs = unpack(high), size = bytes.length / lows.length;
    const values = Float64Array.from(bytes, (level, i) => {
      const row = Math.floor(i / size);
      return level > LEVELS ? NaN : lows[row] + (level / LEVELS) * (highs[row] - lows[row]);
    });
    return { values, size, lows, highs };
  }

  // An element with attributes and children; text is never parsed as markup.
  function element(tag, attributes = {}, ...children) {
    const created = tag === 'svg' || tag === 'path' ? document.createElementNS('http://www.w3.org/2000/svg', tag) : document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (name.startsWith('on')) created.addEventListener(name.slice(2), value);
      else if (value !== null && value !== undefined && value !== false) created.setAttribute(name, value === true ? '' : value);
    }
    created.append(...children.filter((child) => child !== null && child !== undefined));
    return created;
  }

  // Normalise a text for the search: without case and accents, other letters in their usual ASCII spelling; as `fold` in data/search_text.py.
  const LETTERS = { ß: 'ss', æ: 'ae', œ: 'oe', ø: 'o', đ: 'd', ð: 'd', ł: 'l', ı: 'i', þ: 'th', ħ: 'h', ς: 'σ', '’': "'", '‘': "'" };

  function fold(text) {
    // eslint-disable-next-line no-control-regex
    if (/^[\x00-\x7f]*$/.test(text)) return text.toLowerCase();
    return text.normalize('NFKD').replace(/\p{Mn}/gu, '').toLowerCase().replace(/[ßæœøđðłıþħς’‘]/g, (letter) => LETTERS[letter]);
  }

  function download(blob, name) {
    const url = URL.createObjectURL(blob);
    element('a', { href: url, download: name }).click();
    setTimeout(() => URL.revokeObjectURL(url), 10000);
  }

  const dark = window.matchMedia('(prefers-color-scheme: dark)');

  function theme() {
    const style = getComputedStyle(document.documentElement);
    const read = (name) => style.getPropertyValue(name).trim();
    return { paper: read('--paper'), ink: read('--ink'), quiet: read('--quiet'), line: read('--line'), accent: read('--accent') };
  }

  return { receive, load, take, run, unpack, unpackRows, element, fold, download, theme, onTheme: (act) => dark.addEventListener('change', act) };
})();
