// Legend of the map: selects the trait that colours it. Its groups filter the songs.
'use strict';

msd.legend = (map, select, list) => {
  const { element } = msd;

  function show() {
    const { trait } = map.state;
    select.value = trait.key;
    const entries = trait.names.map((name, code) => [name, code, trait.counts[code]]);
    if (trait.others) entries.push([trait.other, trait.names.length, trait.others]);
    list.replaceChildren(...entries.map(([name, code, count]) => element('li', {}, element('button',
      {
        type: 'button', 'data-code': code, title: 'Show only this group; click further groups to add them',
        onpointerenter: (event) => event.pointerType !== 'touch' && map.highlight(code),
        onpointerleave: () => map.highlight(null),
        onclick: () => toggle(code),
      },
      msd.colours.swatch(trait.looks[code]), element('span', {}, name), element('span', { class: 'quiet number' }, count.toLocaleString('en'))))));
    press();
  }

  function toggle(code) {
    const codes = new Set(map.state.filters.get(map.state.trait.key));
    if (!codes.delete(code)) codes.add(code);
    map.highlight(null);
    map.filter(map.state.trait.key, codes);
  }

  function press() {
    const codes = map.state.filters.get(map.state.trait.key);
    for (const button of list.querySelectorAll('button')) button.setAttribute('aria-pressed', String(!!codes && codes.has(Number(button.dataset.code))));
  }

  select.replaceChildren(...map.traits.map((trait) => element('option', { value: trait.key }, trait.title)));
  select.addEventListener('change', () => map.colourBy(select.value));
  map.on('colour', show);
  map.on('filter', press);
  if (map.traits.length) show();
};
