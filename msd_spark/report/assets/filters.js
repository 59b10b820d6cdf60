// Filters in use: the groups selected in legends, and a range of years; all must hold.
'use strict';

msd.filters = (map, songs, box) => {
  const { element } = msd;
  const ranges = songs.traits.filter((trait) => trait.range);
  const chips = element('span', { class: 'chips' }), status = element('span', { class: 'quiet', role: 'status' });
  const inputs = new Map();

  // Codes from one value to another; none for the whole range.
  function between(trait, from, to) {
    [from, to] = [Math.min(from, to), Math.max(from, to)];
    const codes = trait.names.map((name, code) => [Number(name), code]).filter(([value]) => value >= from && value <= to).map(([, code]) => code);
    return new Set(codes.length < trait.names.length || trait.others ? codes : []);
  }

  function field(trait, end) {
    const [low, high] = [trait.names[0], trait.names[trait.names.length - 1]];
    const input = element('input', { type: 'number', min: low, max: high, placeholder: end ? high : low, 'aria-label': `${trait.title} ${end ? 'to' : 'from'}` });
    input.addEventListener('change', () => {
      const [from, to] = inputs.get(trait.key).map((one) => one.value);
      map.filter(trait.key, from || to ? between(trait, Number(from || low), Number(to || high)) : new Set());
    });
    return input;
  }

  function show() {
    const { filters, passing } = map.state;
    chips.replaceChildren(...[...filters].map(([key, codes]) => {
      const trait = songs.trait(key), names = [...codes].sort((a, b) => a - b).map((code) => trait.names[code] || trait.other);
      const text = trait.range ? `${names[0]}–${names[names.length - 1]}` : names.join(', ');
      return element('button', { type: 'button', 'aria-label': `Remove the filter ${trait.title}`, onclick: () => map.filter(key, new Set()) }, `${trait.title}: ${text} ×`);
    }));
    for (const [key, [from, to]] of inputs) if (!filters.has(key)) from.value = to.value = '';
    const count = passing ? passing.reduce((sum, one) => sum + one, 0) : songs.n;
    status.textContent = passing ? `${count.toLocaleString('en')} of ${songs.n.toLocaleString('en')} songs` : '';
  }

  for (const trait of ranges) {
    inputs.set(trait.key, [field(trait, 0), field(trait, 1)]);
    box.append(element('label', { class: 'range' }, `${trait.title} `), inputs.get(trait.key)[0], '–', inputs.get(trait.key)[1]);
  }
  box.append(chips, status);
  map.on('filter', show);

  return { between };
};
