// The address of a view: its song, place, colours and filters, in the hash.
'use strict';

msd.address = (map, songs, years) => {
  const PAUSE = 400; // milliseconds; Chromium ignores many changes in a row
  let timer = 0, song = null, ownHash = location.hash, restoring = false;

  function describe() {
    const params = new URLSearchParams();
    if (song) params.set('song', song);
    const { x, y, zoom } = map.getView();
    if (!map.isWhole()) {
      params.set('x', x.toPrecision(6));
      params.set('y', y.toPrecision(6));
      params.set('zoom', zoom.toPrecision(4));
    }
    if (map.state.trait.key && map.state.trait !== map.traits[0]) params.set('colour', map.state.trait.key);
    for (const [key, codes] of map.state.filters) {
      const trait = songs.trait(key), names = [...codes].sort((a, b) => a - b).map((code) => trait.names[code] || '');
      if (trait.range) params.set(key, `${names[0]}-${names[names.length - 1]}`);
      else names.forEach((name) => params.append(key, name));
    }
    return params.toString();
  }

  function save() {
    if (restoring) return;
    clearTimeout(timer);
    timer = setTimeout(write, PAUSE);
  }

  function write() {
    const text = describe();
    if (!text && !ownHash.includes('=')) return; // such as the link to a section
    ownHash = text ? `#${text}` : '';
    if (ownHash !== location.hash) history.replaceState(null, '', ownHash || location.pathname + location.search);
  }

  // Show what the address describes; unknown names are ignored.
  async function restore() {
    ownHash = location.hash;
    if (!ownHash.includes('=')) return;
    restoring = true;
    try {
      await show(new URLSearchParams(ownHash.slice(1)));
    } finally {
      restoring = false;
    }
  }

  async function show(params) {
    await map.colourBy(params.get('colour'));
    for (const trait of songs.traits) {
      const names = params.getAll(trait.key);
      const codes = trait.range && names.length ? years(trait, ...names[0].split('-').map(Number))
        : new Set(names.map((name) => (name ? trait.names.indexOf(name) : trait.names.length)).filter((code) => code >= 0));
      if (codes.size || map.state.filters.has(trait.key)) await map.filter(trait.key, codes);
    }
    const row = params.has('song') ? await songs.row(params.get('song')) : -1;
    const shown = row >= 0 && msd.show(row);
    const place = { x: Number(params.get('x')), y: Number(params.get('y')), zoom: Number(params.get('zoom')) };
    if (params.has('zoom') && Object.values(place).every(Number.isFinite)) map.setView(place);
    await shown;
  }

  map.on('draw', save);
  window.addEventListener('hashchange', () => location.hash !== ownHash && restore());
  return {
    restore,
    choose(id) {
      song = id;
      write();
    },
  };
};
