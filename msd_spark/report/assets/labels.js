// Labels of regions, at the depth that fits the zoom.
'use strict';

msd.labels = (bounds) => {
  const STEPS = 65535;
  const WIDE = 220; // pixels of a region at most
  const MOST = 60; // labels at once
  let levels = [];

  function receive(data) {
    levels = data.levels.map(({ level, x, y, texts }) => {
      const place = (steps, low, high) => Float32Array.from(msd.unpack(steps), (step) => low + (step / STEPS) * (high - low));
      return { level, texts, x: place(x, bounds.left, bounds.right), y: place(y, bounds.bottom, bounds.top) };
    });
  }

  // Draw the labels in view that have room, the most typical first. toPixels: of a place; scale: pixels per unit.
  function draw(context, theme, toPixels, scale, wide, high) {
    const span = Math.max(bounds.right - bounds.left, bounds.top - bounds.bottom) * scale;
    const depth = Math.max(1, Math.ceil(Math.log2(span / WIDE)));
    const shown = levels[Math.min(depth, levels.length) - 1];
    if (!shown) return [];
    const boxes = [];
    context.font = '600 13px system-ui, sans-serif';
    context.textAlign = 'center';
    context.textBaseline = 'middle';
    context.lineJoin = 'round';
    context.lineWidth = 4;
    context.strokeStyle = theme.paper;
    context.fillStyle = theme.ink;
    for (let i = 0; i < shown.texts.length && boxes.length < MOST; i++) {
      const [px, py] = toPixels(shown.x[i], shown.y[i]);
      if (px < 0 || py < 0 || px > wide || py > high) continue;
      const text = shown.texts[i], half = context.measureText(text).width / 2 + 4;
      if (px - half < 0 || px + half > wide) continue;
      const box = { text, left: px - half, right: px + half, top: py - 10, bottom: py + 10 };
      if (boxes.some((other) => box.left < other.right && box.right > other.left && box.top < other.bottom && box.bottom > other.top)) continue;
      boxes.push(box);
      context.strokeText(text, px, py);
      context.fillText(text, px, py);
    }
    return boxes.map(({ text }) => text);
  }

  return { receive, draw };
};
