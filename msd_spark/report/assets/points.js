// Paint songs into a pixel buffer without WebGL and eval: few as points, many as density.
'use strict';

msd.points = (() => {
  const SAMPLES = 4; // per side of a pixel, for antialiasing
  const FAINT = 0.7, REST = 0.4, NAMED = 0.85; // opacities

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

  const packColour = ([r, g, b]) => ((255 << 24) | (b << 16) | (g << 8) | r) >>> 0;

  // Pixels to paint, with a margin, and the songs of each pixel.
  function surfaceOf(context, wide, high, margin) {
    const [width, height] = [wide + 2 * margin, high + 2 * margin];
    const image = context.createImageData(width, height), n = width * height;
    // sums: red, green and blue of each pixel's songs
    return {
      image, width, height, margin, pixels: new Uint32Array(image.data.buffer),
      counts: new Uint32Array(n), sums: new Uint32Array(3 * n), faint: new Uint8Array(n),
    };
  }

  // A painter for a canvas; `size` must be called before it paints.
  function painter(canvas, x, y) {
    // The CPU computes the pixels, so the canvas need not be on the GPU.
    const context = canvas.getContext('2d', { willReadFrequently: true });
    const half = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
    let fine, coarse, sprites = new Map();

    function size(wide, high, radius) {
      fine = surfaceOf(context, wide, high, Math.ceil(radius) + 2); // points at the border need no check per pixel
      [half.canvas.width, half.canvas.height] = [Math.ceil(wide / 2), Math.ceil(high / 2)];
      coarse = surfaceOf(half, half.canvas.width, half.canvas.height, 0);
      sprites = new Map();
    }

    function spriteOf(shape, radius, opacity) {
      const key = `${shape} ${radius} ${opacity}`;
      if (!sprites.has(key)) {
        const { x: right, y: down, cover } = sprite(msd.colours.INSIDE[shape], radius, opacity);
        sprites.set(key, { offsets: Int32Array.from(right, (across, i) => down[i] * fine.width + across), cover: Int32Array.from(cover) });
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

    // Points, one layer above the other: faint ones, those without a group, the others.
    function paintPoints(ranges, { codes, shown, only, looks, paper, line }, view, radius) {
      const { pixels, width, height, margin } = fine;
      pixels.fill(packColour(msd.colours.channels(paper)));
      const rest = looks.length - 1;
      const faintBrush = brushOf({ colour: line, shape: 'circle' }, radius, FAINT);
      const brushes = looks.map((look, code) => brushOf(look, radius, code === rest && rest ? REST : NAMED));
      const [x0, y0, scale] = [view.x0, view.y0, view.scale], [right, bottom] = [width - margin, height - margin];
      for (let layer = shown || only !== null ? 0 : 1; layer < 3; layer++) {
        for (let k = 0; k < ranges.length; k += 2) {
          for (let i = ranges[k], end = ranges[k + 1]; i < end; i++) {
            const code = Math.min(codes[i], rest);
            const hidden = (shown !== null && !shown[i]) || (only !== null && code !== only);
            if ((hidden ? 0 : code === rest && rest ? 1 : 2) !== layer) continue;
            const across = Math.round((x[i] - x0) * scale) + margin, down = Math.round((y0 - y[i]) * scale) + margin;
            if (across < margin - 1 || down < margin - 1 || across > right || down > bottom) continue;
            const base = down * width + across;
            const { offsets, under, outer, inner } = layer ? brushes[code] : faintBrush;
            for (let j = 0; j < offsets.length; j++) {
              const at = base + offsets[j], old = pixels[at];
              // One multiplication for red and blue, which are eight bits apart.
              pixels[at] = 0xff000000
                | (((Math.imul(old & 0xff00ff, under[j]) >>> 8) & 0xff00ff) + outer[j])
                | (((Math.imul(old & 0xff00, under[j]) >>> 8) & 0xff00) + inner[j]);
            }
          }
        }
      }
    }

    // Density: each pixel has the mean colour of its songs, and is the stronger the more there are, by their logarithm.
    function paintDensity(surface, ranges, { codes, shown, only, looks, paper, line }, view, step) {
      const { counts, sums, faint, pixels, width, height, margin } = surface;
      counts.fill(0);
      faint.fill(0);
      const rest = looks.length - 1, colours = looks.map((look) => msd.colours.channels(look.colour));
      const [reds, greens, blues] = [0, 1, 2].map((channel) => Uint32Array.from({ length: 256 }, (_, code) => colours[Math.min(code, rest)][channel]));
      const { scale } = view, right = width - margin, bottom = height - margin;
      const x0 = view.x0 - (margin + 0.5) / scale, y0 = view.y0 + (margin + 0.5) / scale;
      const all = shown === null && only === null;
      let songs = 0, filled = 0;
      for (let k = 0; k < ranges.length; k += 2) {
        for (let i = ranges[k], end = ranges[k + 1]; i < end; i += step) {
          const across = ((x[i] - x0) * scale) | 0, down = ((y0 - y[i]) * scale) | 0;
          if (across < margin || down < margin || across >= right || down >= bottom) continue;
          const at = down * width + across, code = codes[i];
          if (!all && ((shown !== null && !shown[i]) || (only !== null && Math.min(code, rest) !== only))) {
            faint[at] = 1;
            continue;
          }
          const sum = 3 * at;
          songs++;
          if (counts[at]++) {
            sums[sum] += reds[code];
            sums[sum + 1] += greens[code];
            sums[sum + 2] += blues[code];
          } else {
            filled++;
            sums[sum] = reds[code];
            sums[sum + 1] = greens[code];
            sums[sum + 2] = blues[code];
          }
        }
      }
      const [r, g, b] = msd.colours.channels(paper), background = packColour([r, g, b]), faintColour = packColour(msd.colours.channels(line));
      const most = Math.log1p((8 * songs) / (filled || 1)); // of the usual pixel, eight times as many have full strength
      const strength = (count) => Math.min(1, 0.3 + (0.7 * Math.log1p(count)) / most);
      // The weights of the paper and of a sum of colours in a pixel, of 65,536, by the number of its songs.
      const unders = Int32Array.from({ length: 256 }, (_, count) => Math.round(65536 * (1 - strength(count))));
      const overs = Int32Array.from({ length: 256 }, (_, count) => Math.floor((65536 * strength(count)) / count));
      for (let at = 0, sum = 0, n = width * height; at < n; at++, sum += 3) {
        const count = counts[at];
        if (!count) {
          pixels[at] = faint[at] ? faintColour : background;
          continue;
        }
        const under = unders[Math.min(count, 255)], over = count < 256 ? overs[count] : (65536 / count) | 0;
        pixels[at] = 0xff000000
          | ((Math.imul(b, under) + Math.imul(over, sums[sum + 2])) & 0xff0000)
          | (((Math.imul(g, under) + Math.imul(over, sums[sum + 1])) >>> 8) & 0xff00)
          | ((Math.imul(r, under) + Math.imul(over, sums[sum])) >>> 16);
      }
    }

    // Paint the songs in ranges of rows [first, end, ...]; as density if the radius is 0. Fast density has half the songs
    // and half the resolution.
    // style: codes and looks by code, `shown` (1 for songs that are not faint, or null for all), `only` (the code that is
    // not faint, or null). view: {x0, y0, scale}: the pixel of (x, y) is ((x - x0) * scale, (y0 - y) * scale).
    function paint(ranges, style, view, radius, fast = false) {
      if (fast && !radius) {
        paintDensity(coarse, ranges, style, { ...view, scale: view.scale / 2 }, 2);
        half.putImageData(coarse.image, 0, 0);
        context.imageSmoothingEnabled = false;
        context.drawImage(half.canvas, 0, 0, 2 * half.canvas.width, 2 * half.canvas.height);
        return context;
      }
      if (radius) paintPoints(ranges, style, view, radius);
      else paintDensity(fine, ranges, style, view, 1);
      context.putImageData(fine.image, -fine.margin, -fine.margin);
      return context;
    }

    return { size, paint, context };
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

  return { painter, within };
})();
