// The selected song: metadata, predicted genres, neighbours, chroma and timbre.
'use strict';

// A song in a list: its names, genre and a note; marks the song on the map and selects it. Names are filled in when loaded.
msd.songItem = (row, note, selected = () => {}) => {
  const { element, map, songs } = msd;
  const mark = (i) => () => map.mark(i);
  const show = () => {
    msd.show(row);
    selected();
  };
  const button = element('button',
    { type: 'button', class: 'neighbour', 'data-row': row, onclick: show, onpointerenter: mark(row), onpointerleave: mark(-1), onfocus: mark(row), onblur: mark(-1) });
  Promise.all([songs.load([row]), msd.songGenres()]).then(() => {
    const genre = songs.value('genre', row) || songs.value('predicted', row);
    button.replaceChildren(...[element('span', { class: 'name' }, songs.title(row)), element('span', { class: 'quiet' }, songs.artist(row)),
      genre ? element('span', { class: 'genre' }, genre) : null, note ? element('span', { class: 'number' }, note) : null].filter(Boolean));
  }, (error) => button.replaceChildren(error.message));
  return element('li', {}, button);
};

// Load the traits that the panel and lists show.
msd.songGenres = () => msd.songs.loadTraits(['genre', 'predicted', 'language', 'split'].map(msd.songs.trait).filter(Boolean));

msd.song = (() => {
  const { element } = msd;
  const PITCHES = ['C', 'C♯', 'D', 'E♭', 'E', 'F', 'F♯', 'G', 'A♭', 'A', 'B♭', 'B'];
  const COEFFICIENTS = Array.from({ length: 12 }, (_, i) => String(i + 1));
  const minutes = (seconds) => `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`;

  function facts(row, detail) {
    const { songs } = msd;
    const trait = (key) => songs.value(key, row);
    const rows = [
      ['album', detail.album],
      ['year', detail.year],
      ['length', detail.seconds === undefined ? null : minutes(detail.seconds)],
      ['tempo', detail.tempo === undefined ? null : `${detail.tempo} bpm`],
      ['key', detail.key],
      ['genre', trait('genre')],
      ['predicted', trait('predicted')],
      ['plays', detail.plays === undefined ? null : `${detail.plays.toLocaleString('en')} by ${(detail.listeners || 0).toLocaleString('en')} listeners`],
      ['lyrics', detail.lyrics ? trait('language') || 'yes' : 'no'],
      ['split', trait('split') || 'none'],
      ['track', songs.id(row)],
    ].filter(([, value]) => value !== null && value !== undefined);
    return element('dl', {}, ...rows.flatMap(([name, value]) => [element('dt', {}, name), element('dd', {}, String(value))]));
  }

  function probabilities(detail) {
    if (!detail.likeliest || !detail.likeliest.length) return null;
    const rows = detail.likeliest.map(([name, share]) => element('tr', {},
      element('th', { scope: 'row' }, name),
      element('td', {}, element('meter', { min: 0, max: 1, value: share, 'aria-label': name })),
      element('td', { class: 'number' }, share.toFixed(2))));
    return element('table', { class: 'likeliest' }, element('caption', {}, 'Predicted probabilities'), ...rows);
  }

  function neighbours(detail) {
    if (detail.neighbours === undefined) return element('p', { class: 'quiet' }, 'No neighbours; run msd-spark neighbours.');
    const items = detail.neighbours.map(([row, distance]) => msd.songItem(row, distance.toFixed(4)));
    return element('div', {}, element('h3', {}, 'Nearest neighbours'), items.length
      ? element('ol', { class: 'neighbours' }, ...items) : element('p', { class: 'quiet' }, 'None of them is in this report.'));
  }

  function heat(track, content, part, names, title, note) {
    const { values, size, lows, highs } = msd.unpackRows(content[part]);
    const rows = names.map((_, row) => Array.from(values.subarray(row * size, (row + 1) * size), (value) => (Number.isNaN(value) ? null : value)));
    const scaled = rows.map((cells, row) => cells.map((value) => (value === null ? null : (value - lows[row]) / (highs[row] - lows[row] || 1))));
    const box = element('div', { class: 'heat', role: 'img', 'aria-label': `${title} over time in seconds`, 'data-chart': `${part}_${track}` });
    const figure = element('figure', {}, element('figcaption', {}, title, ' ', element('span', { class: 'quiet' }, note)), box);
    const draw = () => msd.charts.plot(box, {
      data: [{ type: 'heatmap', x: Array.from(msd.unpack(content.edges)), y: names, z: scaled, customdata: rows, colorscale: 'Cividis', showscale: false, zmin: 0, zmax: 1,
        hovertemplate: `%{x:.1f} s, ${part === 'chroma' ? 'pitch' : 'coefficient'} %{y}: %{customdata:.2f}<extra></extra>` }],
      layout: { height: 250, margin: { l: 38, r: 8, t: 6, b: 40 }, xaxis: { title: { text: 'seconds' } }, yaxis: { type: 'category', dtick: 1, tickfont: { size: 10 } } },
    });
    return { figure, draw };
  }

  // Show a song in the panel; `named` is called when its names are known.
  async function show(panel, row, named) {
    const { songs, map } = msd;
    map.show(row, []);
    const report = await msd.load('report');
    let detail;
    try {
      [detail] = await Promise.all([songs.details(row), songs.load([row]), msd.songGenres()]);
    } catch (error) {
      panel.replaceChildren(element('p', { role: 'alert' }, error.message));
      return;
    }
    if (map.state.chosen !== row) return; // another song was selected meanwhile
    named();
    const link = document.getElementById('to-song'); // on a narrow screen the song is below the map
    link.hidden = false;
    link.firstElementChild.textContent = `${songs.artist(row)} – ${songs.title(row)} ↓`;
    map.show(row, (detail.neighbours || []).map(([other]) => other));
    const heats = element('div', { class: 'heats' });
    panel.replaceChildren(
      element('h2', { tabindex: -1, id: 'song-title' }, songs.title(row)),
      element('p', { class: 'artist' }, songs.artist(row)),
      facts(row, detail), ...[msd.recommendations.button('Recommend from this song', [row]), probabilities(detail), neighbours(detail)].filter(Boolean), heats);
    if (!report.heatmaps.includes(row)) {
      heats.append(element('p', { class: 'quiet' }, `No chroma and timbre: the report has those of ${report.heatmaps.length.toLocaleString('en')} songs. Add this one by msd-spark report --show ${songs.id(row)}.`));
      return;
    }
    let content;
    try {
      content = await msd.load(`heatmap-${row}`);
    } catch (error) {
      heats.append(element('p', { role: 'alert' }, error.message));
      return;
    }
    if (map.state.chosen !== row) return;
    const heatmaps = [
      heat(songs.id(row), content, 'chroma', PITCHES, 'Chroma', 'relative strength of each pitch class'),
      heat(songs.id(row), content, 'timbre', COEFFICIENTS, 'Timbre', 'each coefficient scaled to its range in the song'),
    ];
    heats.append(...heatmaps.map(({ figure }) => figure));
    heatmaps.forEach(({ draw }) => draw());
  }

  return { show };
})();
