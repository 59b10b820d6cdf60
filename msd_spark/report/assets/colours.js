// Colours and shapes of groups: Okabe and Ito's palette for names, Cividis for ordered traits, grey for the rest.
'use strict';

msd.colours = (() => {
  const NAMED = ['#0072B2', '#E69F00', '#009E73', '#CC79A7', '#56B4E9', '#D55E00'];
  const SHAPES = ['circle', 'diamond', 'square', 'triangle', 'cross'];
  const CIVIDIS = ['#00224E', '#123570', '#3B496C', '#575D6D', '#707173', '#8A8678', '#A59C74', '#C3B369', '#E1CC55', '#FEE838'];
  const OTHER = '#8A8A8A';

  const channels = (hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));

  function along(scale, share) {
    const at = share * (scale.length - 1);
    const low = Math.min(Math.floor(at), scale.length - 2);
    const [a, b] = [channels(scale[low]), channels(scale[low + 1])];
    return '#' + a.map((value, i) => Math.round(value + (b[i] - value) * (at - low)).toString(16).padStart(2, '0')).join('');
  }

  // The look of each group of a trait; the last is for songs without a group.
  function looks(trait) {
    const n = trait.names.length;
    // The largest groups have their own colour; smaller ones differ by shape.
    const bySize = trait.names.map((_, i) => i).sort((a, b) => trait.counts[b] - trait.counts[a]);
    const rank = new Map(bySize.map((i, place) => [i, place]));
    const named = trait.names.map((_, i) =>
      trait.ordered
        ? { colour: along(CIVIDIS, n > 1 ? 0.12 + 0.88 * (i / (n - 1)) : 0.5), shape: 'circle' }
        : { colour: NAMED[rank.get(i) % NAMED.length], shape: SHAPES[Math.floor(rank.get(i) / NAMED.length) % SHAPES.length] });
    return [...named, { colour: OTHER, shape: 'circle' }];
  }

  // Whether a point is inside a shape of radius 1.
  const INSIDE = {
    circle: (x, y) => x * x + y * y <= 0.92,
    diamond: (x, y) => Math.abs(x) + Math.abs(y) <= 1.15,
    square: (x, y) => Math.max(Math.abs(x), Math.abs(y)) <= 0.85,
    triangle: (x, y) => y <= 0.8 && y >= -0.95 && Math.abs(x) <= (y + 0.95) * 0.62,
    cross: (x, y) => Math.min(Math.abs(x), Math.abs(y)) <= 0.34 && Math.max(Math.abs(x), Math.abs(y)) <= 1,
  };

  const PATHS = {
    circle: 'M8 2.5a5.5 5.5 0 1 0 .01 0z',
    diamond: 'M8 1.5L14.5 8 8 14.5 1.5 8z',
    square: 'M3 3h10v10H3z',
    triangle: 'M8 2l6.5 11.5h-13z',
    cross: 'M6 2h4v4h4v4h-4v4H6v-4H2V6h4z',
  };

  const swatch = ({ colour, shape }) =>
    msd.element('svg', { viewBox: '0 0 16 16', width: 14, height: 14, 'aria-hidden': 'true' }, msd.element('path', { d: PATHS[shape], fill: colour }));

  return { looks, channels, swatch, INSIDE };
})();
