// The map: positions, hover, selection, pan, zoom and lasso.
'use strict';

msd.createMap = (() => {
  const SLACK = 12; // pixels between pointer and point
  const MOST = 400; // maximum zoom, relative to the whole map

  function create(songs, canvas, tip) {
    const x = msd.unpack(songs.x), y = msd.unpack(songs.y), n = x.length;
    const traits = songs.traits.map((trait) => ({ ...trait, codes: msd.unpack(trait.codes), looks: msd.colours.looks(trait) }));
    const plain = { key: null, names: [], codes: new Uint8Array(n), looks: [{ colour: '#0072B2', shape: 'circle' }] };
    const bounds = boundsOf(x, y);
    const find = msd.points.finder(x, y, bounds);
    const painter = msd.points.painter(canvas);
    const state = { trait: traits[0] || plain, only: null, chosen: -1, neighbours: [], marked: -1, hovered: -1, lassoed: null, lasso: null, mode: 'pan', focused: false };
    const view = { cx: 0, cy: 0, scale: 1 }; // centre, and CSS pixels per unit
    let wide = 1, high = 1, ratio = 1, radius = 3, whole = 1, asked = false;
    const listeners = { choose: [], lasso: [] };
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

    const toPixels = (i) => [(x[i] - view.cx) * view.scale + wide / 2, (view.cy - y[i]) * view.scale + high / 2];
    const toPlace = (px, py) => [(px - wide / 2) / view.scale + view.cx, view.cy - (py - high / 2) / view.scale];

    function zoom(factor, px = wide / 2, py = high / 2) {
      const scale = Math.max(whole * 0.5, Math.min(whole * MOST, view.scale * factor));
      const [ax, ay] = toPlace(px, py);
      view.cx = ax - (px - wide / 2) / scale;
      view.cy = ay + (py - high / 2) / scale;
      view.scale = scale;
      draw();
    }

    function pan(dx, dy) {
      view.cx -= dx / view.scale;
      view.cy += dy / view.scale;
      draw();
    }

    function draw() {
      if (asked) return;
      asked = true;
      requestAnimationFrame(() => {
        asked = false;
        paint();
      });
    }

    function paint() {
      const theme = msd.theme();
      const { trait, only, lassoed } = state;
      // Points are larger if there are few, or after zooming in.
      const base = n > 20000 ? 1.9 : n > 3000 ? 2.5 : 3.6;
      radius = Math.min(7, base * Math.pow(view.scale / whole, 0.3)) * ratio;
      radius = Math.round(radius * 2) / 2;
      const at = { x0: view.cx - wide / 2 / view.scale, y0: view.cy + high / 2 / view.scale, scale: view.scale * ratio };
      const faint = trait.looks.map(() => ({ colour: theme.line, shape: 'circle' }));
      let passes;
      if (lassoed) {
        passes = [{ looks: faint, radius, opacity: 0.7 }, { looks: trait.looks, rows: lassoed, radius, opacity: 0.9 }];
      } else if (only !== null) {
        const chosen = trait.looks.map((look, code) => (code === only ? look : null));
        passes = [{ looks: faint.map((look, code) => (code === only ? null : look)), radius, opacity: 0.7 }, { looks: chosen, radius, opacity: 0.95 }];
      } else {
        const last = trait.looks.length - 1; // songs without a group are below the others
        const rest = trait.looks.map((look, code) => (code === last && trait.names.length ? look : null));
        const others = trait.looks.map((look, code) => (code === last && trait.names.length ? null : look));
        passes = [{ looks: rest, radius, opacity: 0.4 }, { looks: others, radius, opacity: 0.8 }];
      }
      const context = painter.paint(x, y, trait.codes, at, theme.paper, passes);
      context.setTransform(ratio, 0, 0, ratio, 0, 0);
      overlay(context, theme);
      context.setTransform(1, 0, 0, 1, 0, 0);
    }

    function overlay(context, theme) {
      const ring = (i, size, colour, thick) => {
        const [px, py] = toPixels(i);
        context.beginPath();
        context.arc(px, py, size, 0, 7);
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
        state.neighbours.forEach((other) => ring(other, radius / ratio + 3, theme.ink, 1.5));
        ring(state.chosen, radius / ratio + 6, theme.accent, 3);
      }
      if (state.marked >= 0) ring(state.marked, radius / ratio + 6, theme.ink, 2.5);
      if (state.hovered >= 0) ring(state.hovered, radius / ratio + 3, theme.ink, 2);
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

    const isShown = (i) => state.only === null || Math.min(state.trait.codes[i], state.trait.looks.length - 1) === state.only;
    const at = (px, py) => find.nearest(...toPlace(px, py), SLACK / view.scale, isShown);

    function hover(px, py) {
      const i = px === undefined ? -1 : at(px, py);
      if (i !== state.hovered) {
        state.hovered = i;
        draw();
      }
      tip.hidden = i < 0;
      if (i < 0) return;
      const { trait } = state;
      const group = trait.names[trait.codes[i]];
      tip.replaceChildren(msd.element('strong', {}, msd.songs.title(i)), msd.element('span', {}, msd.songs.artist(i)));
      if (group) tip.append(msd.element('span', { class: 'quiet' }, `${trait.title}: ${group}`));
      const [ix, iy] = toPixels(i);
      tip.style.left = `${Math.max(4, Math.min(wide - tip.offsetWidth - 4, ix + 14))}px`;
      tip.style.top = `${Math.max(4, iy + 14 + tip.offsetHeight > high ? iy - tip.offsetHeight - 10 : iy + 14)}px`;
    }

    // Mark the selected song; the view moves only if the song is outside.
    function show(i, neighbours = []) {
      Object.assign(state, { chosen: i, neighbours, marked: -1 });
      if (i >= 0) {
        const [px, py] = toPixels(i);
        if (px < 20 || py < 20 || px > wide - 20 || py > high - 20) [view.cx, view.cy] = [x[i], y[i]];
      }
      draw();
    }

    function endLasso() {
      const polygon = state.lasso.map(([px, py]) => toPlace(px, py));
      state.lasso = null;
      const rows = [];
      if (polygon.length > 2) for (let i = 0; i < n; i++) if (isShown(i) && msd.points.within(polygon, x[i], y[i])) rows.push(i);
      state.lassoed = rows.length ? Uint32Array.from(rows) : null;
      emit('lasso', state.lassoed);
      draw();
    }

    function clearLasso() {
      if (state.lassoed === null) return;
      state.lassoed = null;
      emit('lasso', null);
      draw();
    }

    const api = {
      traits, state, zoom, pan, reset, draw, paint, show, hover, clearLasso, endLasso, toPixels, at,
      choose: (i) => emit('choose', i),
      middle: () => at(wide / 2, high / 2) >= 0 ? at(wide / 2, high / 2) : find.nearest(view.cx, view.cy, 80 / view.scale, isShown),
      colourBy(key) { state.trait = traits.find((trait) => trait.key === key) || traits[0] || plain; state.only = null; draw(); },
      highlight(code) { state.only = code; draw(); },
      mark(i) { state.marked = i; draw(); },
      setMode(mode) { state.mode = mode; canvas.dataset.mode = mode; },
      on(event, act) { listeners[event].push(act); },
    };
    new ResizeObserver(fit).observe(canvas);
    msd.onTheme(draw);
    fit();
    reset();
    return api;
  }

  function boundsOf(x, y) {
    const bounds = { left: Infinity, right: -Infinity, bottom: Infinity, top: -Infinity };
    for (let i = 0; i < x.length; i++) {
      if (x[i] < bounds.left) bounds.left = x[i];
      if (x[i] > bounds.right) bounds.right = x[i];
      if (y[i] < bounds.bottom) bounds.bottom = y[i];
      if (y[i] > bounds.top) bounds.top = y[i];
    }
    return bounds;
  }

  return create;
})();
