// Mouse, touch and keyboard on the map.
'use strict';

msd.gestures = (map, canvas) => {
  const CLICK = 5; // maximum movement of a click, in pixels
  const pointers = new Map();
  let pressed = null, moved = 0, spread = 0;

  const place = (event) => {
    const rect = canvas.getBoundingClientRect();
    return [event.clientX - rect.left, event.clientY - rect.top];
  };

  canvas.addEventListener('pointerdown', (event) => {
    if (event.button !== 0) return;
    canvas.setPointerCapture(event.pointerId);
    pointers.set(event.pointerId, place(event));
    if (pointers.size === 1) {
      [pressed, moved] = [place(event), 0];
      if (map.state.mode === 'lasso' || event.shiftKey) map.state.lasso = [pressed];
    } else {
      map.state.lasso = null;
      spread = apart();
    }
  });

  canvas.addEventListener('pointermove', (event) => {
    const now = place(event), before = pointers.get(event.pointerId);
    if (!before) {
      if (event.pointerType !== 'touch') map.hover(...now);
      return;
    }
    pointers.set(event.pointerId, now);
    if (pointers.size === 2) {
      const wider = apart();
      if (spread > 0) map.zoom(wider / spread, ...middle());
      spread = wider;
      map.pan((now[0] - before[0]) / 2, (now[1] - before[1]) / 2);
      moved = Infinity;
    } else if (map.state.lasso) {
      map.state.lasso.push(now);
      moved += Math.hypot(now[0] - before[0], now[1] - before[1]);
      map.draw();
    } else {
      moved += Math.hypot(now[0] - before[0], now[1] - before[1]);
      if (moved > CLICK) map.pan(now[0] - before[0], now[1] - before[1]);
    }
    map.hover();
  });

  const release = (event) => {
    if (!pointers.delete(event.pointerId)) return;
    spread = 0;
    if (pointers.size) return;
    const isClick = event.type === 'pointerup' && moved <= CLICK;
    if (map.state.lasso && !isClick) return map.endLasso();
    map.state.lasso = null;
    if (isClick) {
      const i = map.at(...pressed);
      if (i >= 0) map.choose(i);
      else map.clearLasso();
    }
  };
  canvas.addEventListener('pointerup', release);
  canvas.addEventListener('pointercancel', release);
  canvas.addEventListener('pointerleave', () => map.hover());
  canvas.addEventListener('dblclick', (event) => map.zoom(2, ...place(event)));
  canvas.addEventListener('wheel', (event) => {
    event.preventDefault();
    const step = event.deltaMode === 1 ? 30 : 1;
    map.zoom(Math.exp(-Math.max(-300, Math.min(300, event.deltaY * step)) / 400), ...place(event));
  }, { passive: false });

  const apart = () => {
    const [a, b] = [...pointers.values()];
    return Math.hypot(a[0] - b[0], a[1] - b[1]);
  };
  const middle = () => {
    const [a, b] = [...pointers.values()];
    return [(a[0] + b[0]) / 2, (a[1] + b[1]) / 2];
  };

  const STEP = 60;
  const keys = {
    ArrowLeft: () => map.pan(STEP, 0),
    ArrowRight: () => map.pan(-STEP, 0),
    ArrowUp: () => map.pan(0, STEP),
    ArrowDown: () => map.pan(0, -STEP),
    '+': () => map.zoom(1.4),
    '=': () => map.zoom(1.4),
    '-': () => map.zoom(1 / 1.4),
    0: () => map.reset(),
    Enter: () => map.middle() >= 0 && map.choose(map.middle()),
    ' ': () => map.middle() >= 0 && map.choose(map.middle()),
    Escape: () => map.clearLasso(),
  };
  canvas.addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || !keys[event.key]) return;
    event.preventDefault();
    keys[event.key]();
  });
  const focus = (is) => () => {
    map.state.focused = is && canvas.matches(':focus-visible');
    map.draw();
  };
  canvas.addEventListener('focus', focus(true));
  canvas.addEventListener('blur', focus(false));
};
