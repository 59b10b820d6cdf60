// Assemble the report.
'use strict';

(async () => {
  const byId = (id) => document.getElementById(id);
  const canvas = byId('map');
  const songs = msd.createSongs(await msd.take('songs'));
  msd.songs = songs;
  await songs.loadTraits(songs.traits.filter((trait) => !trait.range).slice(0, 1));
  const map = msd.createMap(songs, canvas, byId('tip'));
  msd.map = map;
  map.paint();
  requestAnimationFrame(() => performance.mark('map-painted'));
  msd.gestures(map, canvas);
  msd.legend(map, byId('colour-by'), byId('legend'));
  const filters = msd.filters(map, songs, byId('filters'));
  msd.lassoed(map, byId('lassoed'));
  const address = msd.address(map, songs, filters.between);

  msd.show = (row) => msd.song.show(byId('song'), row, () => address.choose(songs.id(row)));
  map.on('choose', msd.show);
  msd.search.attach(byId('search'), byId('found'), byId('search-status'), (row) => msd.show(row));

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
  map.label(await msd.take('labels'));
  await msd.charts.start();
  await address.restore();
  document.documentElement.dataset.report = 'ready';
})();
