// The map: hover, selection, filters, pan, zoom and lasso.
'use strict';

msd.createMap = (() => {
  const REST = 80; // milliseconds without a movement before details are painted and loaded
  const SLACK = 12; // pixels between pointer and point
  const MOST = 400; // maximum zoom, relative to the whole map
  const MOST_PAINTED = 200000; // songs times the squares of their radii that are painted as points; more as density

  function create(songs, canvas, tip) {
    const { x, y, n, bounds } = songs;
    const traits = songs.traits.filter((trait) => !trait.range);
    const plain = { key: null, names: [], codes: new Uint8Array(n), looks: [{ colour: '#0072B2', shape: 'circle' }] };
    const painter = msd.points.painter(canvas, x, y);
    const labels = msd.labels(bounds);
    const state = {
      trait: traits[0] || plain, only: null, chosen: -1, neighbours: [], marked: -1, hovered: -1, lasso: null, mode: 'pan', focused: false,
      filters: new Map(), // allowed codes by the key of their trait
      passing: null, // 1 for songs that pass all filters, or null without filters
      lassoed: null, inLasso: null, // rows, and 1 for each of them
      labelled: [], radius: 0, moving: false,
    };
    const view = { cx: 0, cy: 0, scale: 1 }; // centre, and CSS pixels per unit
    let wide = 1, high = 1, ratio = 1, whole = 1, asked = false;
    const listeners = { choose: [], lasso: [], filter: [], colour: [], draw: [] };
    const emit = (event, ...values) => listeners[event].forEach((act) => act(...values));

    function fit() {
      const rect = canvas.getBoundingClientRect();
      [wide, high] = [Math.max(50, rect.width), Math.max(50, rect.height)];
      ratio = Math.min(window.devicePixelRatio || 1, 2);
      [canvas.width, canvas.height] = [Math.round(wide * ratio), Math.round(high * ratio)];
      const before = whole;
      whole = 0.94 * Math.min(wide / (bounds.right - bounds.left || 1), high / (bounds.top - bounds.bottom || 1));
      view.scale *= whole / before;
      painter.size(canvas.width, canvas.height, 12 * ratio);
      draw();
    }

    function reset() {
      Object.assign(view, { cx: (bounds.left + bounds.right) / 2, cy: (bounds.top + bounds.bottom) / 2, scale: whole });
      draw();
    }

    const placeToPixels = (px, py) => [(px - view.cx) * view.scale + wide / 2, (view.cy - py) * view.scale + high / 2];
    const toPixels = (i) => placeToPixels(x[i], y[i]);
    const toPlace = (px, py) => [(px - wide / 2) / view.scale + view.cx, view.cy - (py - high / 2) / view.scale];

    function zoom(factor, px = wide / 2, py = high / 2) {
      const scale = Math.max(whole * 0.5, Math.min(whole * MOST, view.scale * factor));
      const [ax, ay] = toPlace(px, py);
      view.cx = ax - (px - wide / 2) / scale;
      view.cy = ay + (py - high / 2) / scale;
      view.scale = scale;
      move();
    }

    // Until the view rests, density is painted faster.
    function move() {
      state.moving = true;
      clearTimeout(rest);
      rest = setTimeout(() => {
        state.moving = false;
        draw();
      }, REST);
      draw();
    }
    let rest = 0;

    function pan(dx, dy) {
      view.cx -= dx / view.scale;
      view.cy += dy / view.scale;
      move();
    }

    function draw() {
      if (asked) return;
      asked = true;
      requestAnimationFrame(() => {
        asked = false;
        paint();
      });
      emit('draw');
    }

    function paint() {
      const theme = msd.theme();
      const { trait, only } = state;
      const [left, top] = toPlace(-SLACK, -SLACK), [right, bottom] = toPlace(wide + SLACK, high + SLACK);
      const ranges = songs.within(left, bottom, right, top);
      let count = 0;
      for (let k = 0; k < ranges.length; k += 2) count += ranges[k + 1] - ranges[k];
      // Points are larger if there are few, or after zooming in.
      const base = n > 20000 ? 1.9 : n > 3000 ? 2.5 : 3.6;
      const affordable = Math.sqrt(MOST_PAINTED / (count || 1));
      const radius = Math.min(7, base * Math.pow(view.scale / whole, 0.3)) * ratio;
      state.radius = affordable < ratio ? 0 : Math.floor(Math.min(radius, affordable) * 2) / 2;
      const style = { codes: trait.codes, looks: trait.looks, shown: state.inLasso || state.passing, only, paper: theme.paper, line: theme.line };
      const at = { x0: view.cx - wide / 2 / view.scale, y0: view.cy + high / 2 / view.scale, scale: view.scale * ratio };
      const context = painter.paint(ranges, style, at, state.radius, state.moving);
      context.setTransform(ratio, 0, 0, ratio, 0, 0);
      overlay(context, theme);
      context.setTransform(1, 0, 0, 1, 0, 0);
    }

    function overlay(context, theme) {
      state.labelled = labels.draw(context, theme, placeToPixels, view.scale, wide, high);
      const size = state.radius / ratio;
      const ring = (i, wider, colour, thick) => {
        const [px, py] = toPixels(i);
        context.beginPath();
        context.arc(px, py, size + wider, 0, 7);
        context.lineWidth = thick + 2;
        context.strokeStyle = theme.paper;
        context.stroke();
        context.lineWidth = thick;
        context.strokeStyle = colour;
        context.stroke();
      };
      if (state.chosen >= 0) {
        context.strokeStyle = theme.ink;
        context.lineWidth = 1;
        context.globalAlpha = 0.5;
        for (const other of state.neighbours) {
          context.beginPath();
          context.moveTo(...toPixels(state.chosen));
          context.lineTo(...toPixels(other));
          context.stroke();
        }
        context.globalAlpha = 1;
        state.neighbours.forEach((other) => ring(other, 3, theme.ink, 1.5));
        ring(state.chosen, 6, theme.accent, 3);
      }
      if (state.marked >= 0) ring(state.marked, 6, theme.ink, 2.5);
      if (state.hovered >= 0) ring(state.hovered, 3, theme.ink, 2);
      if (state.lasso && state.lasso.length > 1) {
        context.beginPath();
        state.lasso.forEach(([px, py], i) => (i ? context.lineTo(px, py) : context.moveTo(px, py)));
        context.closePath();
        context.fillStyle = theme.accent;
        context.globalAlpha = 0.12;
        context.fill();
        context.globalAlpha = 1;
        context.strokeStyle = theme.accent;
        context.lineWidth = 1.5;
        context.stroke();
      }
      if (state.focused) {
        context.strokeStyle = theme.ink;
        context.lineWidth = 1;
        context.beginPath();
        for (const [dx, dy] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) {
          context.moveTo(wide / 2 + 5 * dx, high / 2 + 5 * dy);
          context.lineTo(wide / 2 + 13 * dx, high / 2 + 13 * dy);
        }
        context.stroke();
      }
    }

    const isShown = (i) => state.passing === null || state.passing[i] === 1;
    const at = (px, py) => songs.nearest(...toPlace(px, py), SLACK / view.scale, isShown);

    async function hover(px, py) {
      const i = px === undefined ? -1 : at(px, py);
      if (i !== state.hovered) {
        state.hovered = i;
        draw();
      }
      if (i < 0) {
        tip.hidden = true;
        return;
      }
      if (!songs.isLoaded(i)) {
        await new Promise((resume) => setTimeout(resume, REST));
        if (state.hovered === i) await songs.load([i]);
      }
      if (state.hovered !== i) return; // the pointer moved meanwhile
      tip.hidden = false;
      const { trait } = state;
      const group = trait.names[trait.codes[i]];
      tip.replaceChildren(msd.element('strong', {}, songs.title(i)), msd.element('span', {}, songs.artist(i)));
      if (group) tip.append(msd.element('span', { class: 'quiet' }, `${trait.title}: ${group}`));
      const [ix, iy] = toPixels(i);
      tip.style.left = `${Math.max(4, Math.min(wide - tip.offsetWidth - 4, ix + 14))}px`;
      tip.style.top = `${Math.max(4, iy + 14 + tip.offsetHeight > high ? iy - tip.offsetHeight - 10 : iy + 14)}px`;
    }

    // Mark the selected song; the view moves only if the song is outside.
    function show(i, neighbours = []) {
      const isNew = i !== state.chosen;
      Object.assign(state, { chosen: i, neighbours, marked: -1 });
      if (i >= 0 && isNew) {
        const [px, py] = toPixels(i);
        if (px < 20 || py < 20 || px > wide - 20 || py > high - 20) [view.cx, view.cy] = [x[i], y[i]];
      }
      draw();
    }

    function endLasso() {
      const polygon = state.lasso.map(([px, py]) => toPlace(px, py));
      state.lasso = null;
      const rows = [];
      if (polygon.length > 2) {
        const [left, right] = [Math.min, Math.max].map((end) => polygon.reduce((value, [px]) => end(value, px), polygon[0][0]));
        const [bottom, top] = [Math.min, Math.max].map((end) => polygon.reduce((value, [, py]) => end(value, py), polygon[0][1]));
        const ranges = songs.within(left, bottom, right, top);
        for (let k = 0; k < ranges.length; k += 2) {
          for (let i = ranges[k]; i < ranges[k + 1]; i++) if (isShown(i) && msd.points.within(polygon, x[i], y[i])) rows.push(i);
        }
      }
      lassoRows(rows);
    }

    function lassoRows(rows) {
      state.lassoed = rows.length ? Uint32Array.from(rows) : null;
      state.inLasso = state.lassoed && new Uint8Array(n);
      if (state.lassoed) for (const row of rows) state.inLasso[row] = 1;
      emit('lasso', state.lassoed);
      draw();
    }

    function clearLasso() {
      if (state.lassoed !== null) lassoRows([]);
    }

    // Show only songs whose code of a trait is in a set; all if the set is empty. Filters of several traits combine.
    async function filter(key, codes) {
      if (codes.size) state.filters.set(key, codes);
      else state.filters.delete(key);
      const version = ++filterVersion, filters = [...state.filters].map(([one, allowed]) => [songs.trait(one), allowed]);
      await songs.loadTraits(filters.map(([trait]) => trait));
      if (version !== filterVersion) return;
      let passing = null;
      for (const [trait, allowed] of filters) {
        const passes = Uint8Array.from({ length: 256 }, (_, code) => allowed.has(Math.min(code, trait.names.length)));
        if (!passing) passing = trait.codes.map((code) => passes[code]);
        else for (let i = 0; i < n; i++) passing[i] &= passes[trait.codes[i]];
      }
      state.passing = passing;
      clearLasso();
      emit('filter');
      draw();
    }
    let filterVersion = 0;

    async function colourBy(key) {
      const trait = traits.find((one) => one.key === key) || traits[0] || plain;
      if (trait !== plain) await songs.loadTraits([trait]);
      Object.assign(state, { trait, only: null });
      emit('colour');
      draw();
    }

    // The centre, and the zoom relative to the whole map.
    const isWhole = () => Math.abs(view.scale / whole - 1) < 1e-6 && Math.abs(view.cx - (bounds.left + bounds.right) / 2) * view.scale < 0.5 && Math.abs(view.cy - (bounds.bottom + bounds.top) / 2) * view.scale < 0.5;
    const getView = () => ({ x: view.cx, y: view.cy, zoom: view.scale / whole });
    function setView({ x: cx, y: cy, zoom: factor }) {
      Object.assign(view, { cx, cy, scale: whole * Math.max(0.5, Math.min(MOST, factor)) });
      draw();
    }

    const api = {
      traits, state, zoom, pan, reset, draw, paint, show, hover, clearLasso, endLasso, toPixels, at, filter, colourBy, isWhole, getView, setView,
      choose: (i) => emit('choose', i),
      middle: () => at(wide / 2, high / 2) >= 0 ? at(wide / 2, high / 2) : songs.nearest(view.cx, view.cy, 80 / view.scale, isShown),
      highlight(code) { state.only = code; draw(); },
      mark(i) { state.marked = i; draw(); },
      setMode(mode) { state.mode = mode; canvas.dataset.mode = mode; },
      label(data) { labels.receive(data); draw(); },
      on(event, act) { listeners[event].push(act); },
    };
    new ResizeObserver(fit).observe(canvas);
    msd.onTheme(draw);
    fit();
    reset();
    return api;
  }

  return create;
})();
