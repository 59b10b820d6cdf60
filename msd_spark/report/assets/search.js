// Search while typing: a combobox (WAI-ARIA) over titles and artists that ignores case and accents.
'use strict';

msd.search = (() => {
  const MOST = 12;
  const texts = [];

  // Load a text of data/search_text.py, one line per song, and where its lines start.
  async function load(number) {
    if (!texts[number]) {
      const lines = await msd.take(`search-${number}`), starts = new Uint32Array(msd.songs.searched + 1);
      let n = 0;
      for (let at = 0; at >= 0; at = lines.indexOf('\n', at) + 1 || -1) starts[n++] = at;
      starts[n] = lines.length + 1;
      texts[number] = { lines, starts, n };
    }
    return texts[number];
  }

  // The line, below n, that has a position.
  function lineOf(starts, n, position) {
    let low = 0, high = n;
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (starts[middle] <= position) low = middle;
      else high = middle;
    }
    return low;
  }

  // Songs with every word, and their number; best first: equal text, start of the text, starts of words, anywhere; more
  // popular songs first. null if `isCurrent` is false before the end.
  async function find(query, isCurrent = () => true) {
    const { songs } = msd, text = msd.fold(query.trim());
    const id = query.trim().toUpperCase();
    if (/^TR[A-Z0-9]{16}$/.test(id)) {
      const row = await songs.row(id);
      if (row >= 0) return { rows: [row], all: 1 };
    }
    const words = text.split(/\s+/).filter((word) => /[\p{L}\p{N}]/u.test(word));
    const needles = (words.length ? words : [text]).sort((a, b) => b.length - a.length);
    const popularity = songs.trait('popularity');
    if (popularity) await songs.loadTraits([popularity]);
    const plays = (row) => (popularity && popularity.codes[row] < popularity.names.length ? popularity.codes[row] : -1);
    const best = []; // [rank, plays, row]
    let all = 0;
    for (let number = 0; number * songs.searched < songs.n; number++) {
      const { lines, starts, n } = await load(number);
      if (number) await new Promise((resume) => setTimeout(resume)); // so that typing goes first
      if (!isCurrent()) return null;
      for (let at = lines.indexOf(needles[0]); at >= 0;) {
        const place = lineOf(starts, n, at), start = starts[place], end = starts[place + 1] - 1;
        const line = lines.slice(start, end), row = number * songs.searched + place;
        if (needles.every((word) => line.includes(word))) {
          all++;
          const artist = line.indexOf('\t') + 1;
          const rank = line.startsWith(`${text}\t`, 1) || line.slice(artist) === ` ${text}` ? 0
            : line.startsWith(text, 1) || line.startsWith(text, artist + 1) ? 1
            : needles.every((word) => line.includes(` ${word}`)) ? 2 : 3;
          const last = best[MOST - 1];
          if (!last || rank < last[0] || (rank === last[0] && plays(row) > last[1])) {
            best.push([rank, plays(row), row]);
            best.sort((a, b) => a[0] - b[0] || b[1] - a[1] || a[2] - b[2]);
            best.length = Math.min(best.length, MOST);
          }
        }
        at = lines.indexOf(needles[0], end);
      }
    }
    const rows = best.map(([, , row]) => row);
    await songs.load(rows);
    return isCurrent() ? { rows, all } : null;
  }

  function attach(input, list, status, choose) {
    const { songs } = msd;
    let shown = [], active = -1, version = 0;

    function open(rows, all) {
      shown = rows;
      active = -1;
      list.replaceChildren(...rows.map((row, place) => msd.element('li',
        { role: 'option', id: `${list.id}-${place}`, 'aria-selected': 'false', onpointerdown: (event) => event.preventDefault(), onclick: () => take(place) },
        msd.element('span', {}, songs.title(row)), msd.element('span', { class: 'quiet' }, songs.artist(row)))));
      list.hidden = !rows.length;
      input.setAttribute('aria-expanded', String(rows.length > 0));
      input.removeAttribute('aria-activedescendant');
      status.textContent = !input.value.trim() ? '' : all === 0 ? 'no songs' : all > rows.length ? `${rows.length} of ${all.toLocaleString('en')} songs` : `${all} song${all > 1 ? 's' : ''}`;
    }

    const close = () => {
      version++;
      open([], 0);
    };

    function move(to) {
      if (!shown.length) return;
      if (active >= 0) list.children[active].setAttribute('aria-selected', 'false');
      active = (to + shown.length) % shown.length;
      const option = list.children[active];
      option.setAttribute('aria-selected', 'true');
      option.scrollIntoView({ block: 'nearest' });
      input.setAttribute('aria-activedescendant', option.id);
    }

    function take(place) {
      const row = shown[place];
      if (row === undefined) return;
      input.value = `${songs.artist(row)} – ${songs.title(row)}`;
      close();
      status.textContent = '';
      choose(row);
    }

    input.addEventListener('input', async () => {
      const current = ++version;
      if (!input.value.trim()) {
        close();
        return;
      }
      try {
        const result = await find(input.value, () => current === version);
        if (result) open(result.rows, result.all);
      } catch (error) {
        status.textContent = error.message;
      }
    });
    input.addEventListener('keydown', (event) => {
      const keys = {
        ArrowDown: () => move(active + 1),
        ArrowUp: () => move(active < 0 ? -1 : active - 1),
        Enter: () => take(Math.max(0, active)),
        Escape: () => { if (list.hidden) input.value = ''; close(); status.textContent = ''; },
      };
      if (!keys[event.key] || event.isComposing) return;
      if (event.key !== 'Enter' || shown.length) event.preventDefault();
      keys[event.key]();
    });
    input.addEventListener('blur', () => { list.hidden = true; input.setAttribute('aria-expanded', 'false'); });
    input.addEventListener('focus', async () => {
      input.select();
      // Load the texts before the first letter; a failure is reported by the search.
      for (let number = 0; number * songs.searched < songs.n; number++) await load(number).catch(() => {});
    });
  }

  return { attach, find };
})();
