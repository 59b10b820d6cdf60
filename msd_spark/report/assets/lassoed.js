// Songs within the lasso: their number, groups and names, with an export to CSV.
'use strict';

msd.lassoed = (map, box) => {
  const { element } = msd;
  const MOST = 100;
  const quote = (text) => `"${String(text === null || text === undefined ? '' : text).replace(/"/g, '""')}"`;

  function save(rows) {
    const heads = ['track_id', 'artist', 'title', ...map.traits.filter((trait) => trait.key !== 'artist').map((trait) => trait.key)];
    const lines = Array.from(rows, (row) => [
      msd.songs.ids[row], msd.songs.artist(row), msd.songs.title(row),
      ...map.traits.filter((trait) => trait.key !== 'artist').map((trait) => trait.names[trait.codes[row]]),
    ]);
    const text = [heads, ...lines].map((line) => line.map(quote).join(',')).join('\r\n');
    msd.download(new Blob(['\ufeff', text, '\r\n'], { type: 'text/csv' }), 'songs.csv');
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
      element('p', {}, element('button', { type: 'button', onclick: () => save(rows) }, 'Save as CSV'), ' ',
        element('button', { type: 'button', onclick: () => map.clearLasso() }, 'Clear'), ' ',
        msd.recommendations.button('Recommend from these', rows) || ''),
      element('ol', { class: 'neighbours' }, ...items),
      rows.length > MOST ? element('p', { class: 'quiet' }, `The first ${MOST} are listed; the CSV file has all.`) : '');
  });
};
