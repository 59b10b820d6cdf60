// Legend of the map: selects the trait that colours it; each group can be isolated.
'use strict';

msd.legend = (map, select, list) => {
  const { element } = msd;
  let pinned = null;

  function show() {
    const { trait } = map.state;
    pinned = null;
    map.highlight(null);
    const entries = trait.names.map((name, code) => [name, code, trait.counts[code]]);
    if (trait.others) entries.push([trait.other, trait.names.length, trait.others]);
    list.replaceChildren(...entries.map(([name, code, count]) => element('li', {}, element('button',
      {
        type: 'button', 'aria-pressed': 'false', 'data-code': code,
        onpointerenter: (event) => event.pointerType !== 'touch' && map.highlight(code),
        onpointerleave: () => map.highlight(pinned),
        onclick: () => pin(code),
      },
      msd.colours.swatch(trait.looks[code]), element('span', {}, name), element('span', { class: 'quiet number' }, count.toLocaleString('en'))))));
  }

  function pin(code) {
    pinned = pinned === code ? null : code;
    for (const button of list.querySelectorAll('button')) button.setAttribute('aria-pressed', String(Number(button.dataset.code) === pinned));
    map.highlight(pinned);
  }

  select.replaceChildren(...map.traits.map((trait) => element('option', { value: trait.key }, trait.title)));
  select.addEventListener('change', () => {
    map.colourBy(select.value);
    show();
  });
  if (map.traits.length) show();
};
