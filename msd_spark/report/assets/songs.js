// The songs, known by row: their positions, and their names and facts, which are loaded in chunks on demand.
'use strict';

msd.createSongs = (data) => {
  const STEPS = 65535; // of a position within its cell, as in data/grid.py
  const AT_ONCE = 16; // files
  const { n, side, chunk } = data;
  const starts = msd.unpack(data.starts), across = msd.unpack(data.x), up = msd.unpack(data.y);
  const x = new Float32Array(n), y = new Float32Array(n);
  for (let cell = 0; cell < side * side; cell++) {
    const left = data.low[0] + (cell % side) * data.size[0], bottom = data.low[1] + Math.floor(cell / side) * data.size[1];
    for (let row = starts[cell]; row < starts[cell + 1]; row++) {
      x[row] = left + (across[row] / STEPS) * data.size[0];
      y[row] = bottom + (up[row] / STEPS) * data.size[1];
    }
  }
  const bounds = { left: data.low[0], bottom: data.low[1], right: data.low[0] + side * data.size[0], top: data.low[1] + side * data.size[1] };

  // The ranges of rows [first, end, ...] of the cells that overlap an area.
  function within(left, bottom, right, top) {
    const cell = (value, axis) => Math.max(0, Math.min(side - 1, Math.floor((value - data.low[axis]) / data.size[axis])));
    const ranges = [];
    if (right < bounds.left || left > bounds.right || top < bounds.bottom || bottom > bounds.top) return ranges;
    for (let row = cell(bottom, 1); row <= cell(top, 1); row++) {
      const first = starts[row * side + cell(left, 0)], end = starts[row * side + cell(right, 0) + 1];
      if (end > first) ranges.push(first, end);
    }
    return ranges;
  }

  // The nearest song within reach that is accepted; -1 if there is none.
  function nearest(px, py, reach, accepts) {
    let best = -1, least = reach * reach;
    const ranges = within(px - reach, py - reach, px + reach, py + reach);
    for (let k = 0; k < ranges.length; k += 2) {
      for (let row = ranges[k]; row < ranges[k + 1]; row++) {
        const dx = x[row] - px, dy = y[row] - py, distance = dx * dx + dy * dy;
        if (distance <= least && accepts(row)) [best, least] = [row, distance];
      }
    }
    return best;
  }

  const named = new Map();

  // Load the names of rows.
  async function load(rows) {
    const missing = [...new Set(Array.from(rows, (row) => Math.floor(row / chunk)))].filter((number) => !named.has(number));
    for (let first = 0; first < missing.length; first += AT_ONCE) {
      await Promise.all(missing.slice(first, first + AT_ONCE).map(async (number) => named.set(number, await msd.take(`names-${number}`))));
    }
  }

  const isLoaded = (row) => named.has(Math.floor(row / chunk));

  // A name of a row: '…' until it is loaded.
  function name(row, column, missing) {
    const names = named.get(Math.floor(row / chunk));
    const value = names ? names[column][row % chunk] : '…';
    return value === null ? missing : value;
  }

  // The row of a track id; -1 if the report lacks it.
  async function row(id) {
    let low = 0, high = data.ids.length;
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (data.ids[middle] <= id) low = middle;
      else high = middle;
    }
    const { ids, rows } = await msd.load(`ids-${low}`);
    const place = ids.indexOf(id);
    return place < 0 ? -1 : msd.unpack(rows)[place];
  }

  // The known facts of a song by name; neighbours as [row, distance].
  async function details(row) {
    const content = await msd.load(`details-${Math.floor(row / chunk)}`), place = row % chunk;
    const facts = {};
    for (const [fact, values] of Object.entries(content)) {
      if (fact !== 'neighbours' && values[place] !== null) facts[fact] = values[place];
    }
    if (facts.likeliest) facts.likeliest = facts.likeliest.map(([code, share]) => [data.classes[code], share]);
    if (content.neighbours) {
      const counts = msd.unpack(content.neighbours.counts), rows = msd.unpack(content.neighbours.rows), distances = msd.unpack(content.neighbours.distances);
      const first = counts.subarray(0, place).reduce((sum, count) => sum + count, 0);
      facts.neighbours = Array.from({ length: counts[place] }, (_, i) => [rows[first + i], distances[first + i]]);
    }
    return facts;
  }

  // Traits by which songs are coloured and filtered; `codes` is null until it is loaded.
  const traits = data.traits.map((trait) => ({ ...trait, codes: null, looks: msd.colours.looks(trait) }));

  async function loadTraits(some = traits) {
    await Promise.all(some.map(async (trait) => {
      if (!trait.codes) trait.codes = msd.unpack(await msd.load(`trait-${trait.key}`));
    }));
  }

  const trait = (key) => traits.find((one) => one.key === key);
  const value = (key, row) => (trait(key) && trait(key).codes ? trait(key).names[trait(key).codes[row]] : undefined);

  return {
    n, x, y, bounds, within, nearest, load, isLoaded, row, details, traits, loadTraits, trait, value, searched: data.searched,
    id: (row) => name(row, 'ids'),
    title: (row) => name(row, 'titles', 'unknown title'),
    artist: (row) => name(row, 'artists', 'unknown artist'),
  };
};
