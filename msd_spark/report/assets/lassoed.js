// Songs within the lasso: their number, groups and names, with an export to CSV.
'use strict';

msd.lassoed = (map, box) => {
  const { element } = msd;
  const MOST = 100;
  const quote = (text) => `"${String(text === null || text === undefined ? '' : text).replace(/"/g, '""')}"`;

  async function save(rows, button) {
    button.disabled = true;
    try {
      await Promise.all([msd.songs.load(rows), msd.songs.loadTraits()]);
    } finally {
      button.disabled = false;
    }
    const traits = msd.songs.traits.filter((trait) => trait.key !== 'artist');
    const lines = Array.from(rows, (row) => [
      msd.songs.id(row), msd.songs.artist(row), msd.songs.title(row), ...traits.map((trait) => trait.names[trait.codes[row]]),
    ].map(quote).join(','));
    const heads = ['track_id', 'artist', 'title', ...traits.map((trait) => trait.key)].map(quote).join(',');
    msd.download(new Blob(['\ufeff', [heads, ...lines].join('\r\n'), '\r\n'], { type: 'text/csv' }), 'songs.csv');
  }

  map.on('lasso', (rows) => {
    box.hidden = rows === null;
    if (rows === null) return;
    const { trait } = map.state;
    const counts = new Map();
    for (const row of rows) {
      const name = trait.names[trait.codes[row]] || trait.other;
      counts.set(name, (counts.get(name) || 0) + 1);
    }
    const groups = [...counts].sort((a, b) => b[1] - a[1]).map(([name, count]) => `${name} ${count.toLocaleString('en')}`);
    const items = Array.from(rows.slice(0, MOST), (row) => msd.songItem(row));
    box.replaceChildren(
      element('h3', {}, `${rows.length.toLocaleString('en')} song${rows.length === 1 ? '' : 's'} in the lasso`),
      element('p', { class: 'quiet' }, `${trait.title}: ${groups.join(', ')}`),
      element('p', {}, element('button', { type: 'button', onclick: (event) => save(rows, event.currentTarget) }, 'Save as CSV'), ' ',
        element('button', { type: 'button', onclick: () => map.clearLasso() }, 'Clear'), ' ',
        msd.recommendations.button('Recommend from these', rows) || ''),
      element('ol', { class: 'neighbours' }, ...items),
      rows.length > MOST ? element('p', { class: 'quiet' }, `The first ${MOST} are listed; the CSV file has all.`) : '');
  });
};
