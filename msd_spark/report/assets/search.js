// Search while typing: a combobox (WAI-ARIA) over titles and artists that ignores case and accents.
'use strict';

msd.search = (() => {
  const MOST = 12;

  // Normalised text of each song, built on first use.
  function index(songs) {
    const artists = new Map();
    const folded = new Array(songs.n);
    for (let i = 0; i < songs.n; i++) {
      const name = songs.artist(i);
      if (!artists.has(name)) artists.set(name, msd.fold(name));
      folded[i] = ` ${msd.fold(songs.title(i))}\n ${artists.get(name)}`;
    }
    return folded;
  }

  // The rows with every word, best first: equal text, start of the text, starts of words, anywhere.
  function find(folded, ids, query) {
    const text = msd.fold(query.trim());
    if (!text) return [];
    const byId = ids.indexOf(query.trim().toUpperCase());
    if (byId >= 0) return [byId];
    const words = text.split(/[\s]+/).filter((word) => /[\p{L}\p{N}]/u.test(word));
    const needles = words.length ? words : [text];
    const ranked = [[], [], [], []];
    for (let i = 0; i < folded.length; i++) {
      const song = folded[i];
      if (!needles.every((word) => song.includes(word))) continue;
      const [title, artist] = song.split('\n');
      const rank = title === ` ${text}` || artist === ` ${text}` ? 0
        : title.startsWith(` ${text}`) || artist.startsWith(` ${text}`) ? 1
        : needles.every((word) => song.includes(` ${word}`)) ? 2 : 3;
      ranked[rank].push(i);
    }
    return ranked.flat();
  }

  function attach(input, list, status, songs, choose) {
    let folded = null, shown = [], active = -1;

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

    const close = () => open([], 0);

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

    input.addEventListener('input', () => {
      folded = folded || index(songs);
      const rows = find(folded, songs.ids, input.value);
      open(rows.slice(0, MOST), rows.length);
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
    input.addEventListener('focus', () => {
      input.select();
      setTimeout(() => { folded = folded || index(songs); }); // before the first letter
    });
  }

  return { attach, find, index };
})();
