// Paint tens of thousands of points into a pixel buffer, in milliseconds, without WebGL and eval.
'use strict';

msd.points = (() => {
  const SAMPLES = 4; // per side of a pixel, for antialiasing

  // The pixels that a shape covers around its centre, and the coverage of each (0 to 256).
  function sprite(inside, radius, opacity) {
    const reach = Math.ceil(radius);
    const covered = { x: [], y: [], cover: [] };
    for (let y = -reach; y <= reach; y++) {
      for (let x = -reach; x <= reach; x++) {
        let hits = 0;
        for (let i = 0; i < SAMPLES * SAMPLES; i++) {
          const at = (place, part) => (place + (part + 0.5) / SAMPLES - 0.5) / radius;
          hits += inside(at(x, i % SAMPLES), at(y, Math.floor(i / SAMPLES)));
        }
        if (!hits) continue;
        covered.x.push(x);
        covered.y.push(y);
        covered.cover.push(Math.round((256 * opacity * hits) / (SAMPLES * SAMPLES)));
      }
    }
    return covered;
  }

  // A painter for a canvas; `size` must be called before `paint`.
  function painter(canvas) {
    // The CPU computes the pixels, so the canvas need not be on the GPU.
    const context = canvas.getContext('2d', { willReadFrequently: true });
    let image, pixels, width, height, margin, sprites = new Map();

    function size(wide, high, radius) {
      margin = Math.ceil(radius) + 2; // points at the border need no check per pixel
      [width, height] = [wide + 2 * margin, high + 2 * margin];
      image = context.createImageData(width, height);
      pixels = new Uint32Array(image.data.buffer);
      sprites = new Map();
    }

    function spriteOf(shape, radius, opacity) {
      const key = `${shape} ${radius} ${opacity}`;
      if (!sprites.has(key)) {
        const { x, y, cover } = sprite(msd.colours.INSIDE[shape], radius, opacity);
        sprites.set(key, { offsets: Int32Array.from(x, (across, i) => y[i] * width + across), cover: Int32Array.from(cover) });
      }
      return sprites.get(key);
    }

    // What a point adds to each covered pixel, and the share of the pixel (of 256) that shows through.
    function brushOf(look, radius, opacity) {
      const { offsets, cover } = spriteOf(look.shape, radius, opacity);
      const [r, g, b] = msd.colours.channels(look.colour);
      return {
        offsets,
        under: cover.map((over) => 256 - over),
        outer: cover.map((over) => (((b * over) >> 8) << 16) | ((r * over) >> 8)),
        inner: cover.map((over) => ((g * over) >> 8) << 8),
      };
    }

    // Paint the points in passes, each with its looks by code.
    // view: {x0, y0, scale}: the pixel of (x, y) is ((x - x0) * scale, (y0 - y) * scale).
    function paint(x, y, codes, view, paper, passes) {
      const [r, g, b] = msd.colours.channels(paper);
      pixels.fill(((255 << 24) | (b << 16) | (g << 8) | r) >>> 0);
      for (const pass of passes) {
        const brushes = pass.looks.map((look) => look && brushOf(look, pass.radius, pass.opacity));
        const rows = pass.rows;
        const n = rows ? rows.length : x.length;
        for (let k = 0; k < n; k++) {
          const i = rows ? rows[k] : k;
          const brush = brushes[Math.min(codes[i], brushes.length - 1)];
          if (!brush) continue;
          const across = Math.round((x[i] - view.x0) * view.scale) + margin;
          const down = Math.round((view.y0 - y[i]) * view.scale) + margin;
          if (across < margin - 1 || down < margin - 1 || across > width - margin || down > height - margin) continue;
          const base = down * width + across;
          const { offsets, under, outer, inner } = brush;
          for (let j = 0; j < offsets.length; j++) {
            const at = base + offsets[j], old = pixels[at];
            // One multiplication for red and blue, which are eight bits apart.
            pixels[at] = 0xff000000
              | (((Math.imul(old & 0xff00ff, under[j]) >>> 8) & 0xff00ff) + outer[j])
              | (((Math.imul(old & 0xff00, under[j]) >>> 8) & 0xff00) + inner[j]);
          }
        }
      }
      context.putImageData(image, -margin, -margin);
      return context;
    }

    return { size, paint, context };
  }

  // Find the nearest point with a grid of cells.
  function finder(x, y, bounds) {
    const n = x.length;
    const side = Math.max(1, Math.ceil(Math.sqrt(n / 2)));
    const width = (bounds.right - bounds.left || 1) / side, height = (bounds.top - bounds.bottom || 1) / side;
    const clamp = (value) => Math.max(0, Math.min(side - 1, value));
    const column = (value) => clamp(Math.floor((value - bounds.left) / width));
    const row = (value) => clamp(Math.floor((value - bounds.bottom) / height));
    const starts = new Uint32Array(side * side + 1);
    for (let i = 0; i < n; i++) starts[row(y[i]) * side + column(x[i]) + 1]++;
    for (let i = 0; i < side * side; i++) starts[i + 1] += starts[i];
    const filled = starts.slice(), order = new Uint32Array(n);
    for (let i = 0; i < n; i++) order[filled[row(y[i]) * side + column(x[i])]++] = i;

    function nearest(px, py, reach, accepts) {
      let best = -1, least = reach * reach;
      for (let down = row(py - reach); down <= row(py + reach); down++) {
        const first = starts[down * side + column(px - reach)], last = starts[down * side + column(px + reach) + 1];
        for (let at = first; at < last; at++) {
          const i = order[at], dx = x[i] - px, dy = y[i] - py, distance = dx * dx + dy * dy;
          if (distance <= least && (!accepts || accepts(i))) [best, least] = [i, distance];
        }
      }
      return best;
    }

    return { nearest };
  }

  // Whether a point is inside a polygon [[x, y], ...] (even-odd rule).
  function within(polygon, px, py) {
    let inside = false;
    for (let i = 0, j = polygon.length - 1; i < polygon.length; j = i++) {
      const [xi, yi] = polygon[i], [xj, yj] = polygon[j];
      if (yi > py !== yj > py && px < ((xj - xi) * (py - yi)) / (yj - yi) + xi) inside = !inside;
    }
    return inside;
  }

  return { painter, finder, within };
})();
