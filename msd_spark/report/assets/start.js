// Assemble the report.
'use strict';

(async () => {
  const byId = (id) => document.getElementById(id);
  const canvas = byId('map');
  const songs = await msd.load('songs');
  const artists = msd.unpack(songs.artists.codes);
  msd.songs = {
    n: songs.ids.length,
    ids: songs.ids,
    title: (row) => (songs.titles[row] === null ? 'unknown title' : songs.titles[row]),
    artist: (row) => (artists[row] ? songs.artists.names[artists[row] - 1] : 'unknown artist'),
  };
  const map = msd.createMap(songs, canvas, byId('tip'));
  msd.map = map;
  msd.gestures(map, canvas);
  msd.legend(map, byId('colour-by'), byId('legend'));
  msd.lassoed(map, byId('lassoed'));

  msd.show = (row) => {
    history.replaceState(null, '', `#song=${msd.songs.ids[row]}`);
    return msd.song.show(byId('song'), row);
  };
  map.on('choose', msd.show);
  msd.search.attach(byId('search'), byId('found'), byId('search-status'), msd.songs, (row) => msd.show(row));

  byId('zoom-in').addEventListener('click', () => map.zoom(1.5));
  byId('zoom-out').addEventListener('click', () => map.zoom(1 / 1.5));
  byId('zoom-reset').addEventListener('click', () => map.reset());
  byId('save-map').addEventListener('click', () => canvas.toBlob((blob) => msd.download(blob, 'map.png')));
  byId('lasso').addEventListener('click', (event) => {
    const on = map.state.mode !== 'lasso';
    map.setMode(on ? 'lasso' : 'pan');
    event.currentTarget.setAttribute('aria-pressed', String(on));
  });

  msd.recommendations.start(byId('recommend'));

  document.documentElement.dataset.map = 'ready';
  performance.mark('map-ready');
  await msd.charts.start();
  const asked = /^#song=(TR\w+)$/.exec(location.hash);
  const row = asked ? songs.ids.indexOf(asked[1]) : -1;
  if (row >= 0) msd.show(row);
  document.documentElement.dataset.report = 'ready';
})();
