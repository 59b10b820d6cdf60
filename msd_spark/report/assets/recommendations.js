// Recommendations for a sampled user, and from songs selected here, on the map or with the lasso.
'use strict';

msd.recommendations = (() => {
  const { element } = msd;
  const SHOWN = 30; // selected songs that are listed
  const MOST_ADDED = 2000; // songs of a lasso; of more, every second, third, …
  const NOTHING = {
    als: 'None: these songs have no ALS factors (too few listeners).',
    content: 'None: these songs have no embedding.',
    mixed: 'None.',
  };

  function songItem(ref, others, note) {
    if (ref >= 0) return msd.songItem(ref, note, () => document.getElementById('songs').scrollIntoView());
    const [id, artist, title] = others[-1 - ref];
    return element('li', {}, element('div', { class: 'neighbour elsewhere' }, element('span', { class: 'name' }, title === null ? id : title),
      element('span', { class: 'quiet' }, artist === null ? 'unknown artist' : artist), note ? element('span', { class: 'number' }, note) : null));
  }

  function column(key, title, items) {
    return element('div', { 'data-list': key, role: 'group', 'aria-label': title }, element('h4', {}, title), items.length
      ? element('ol', { class: 'neighbours' }, ...items) : element('p', { class: 'quiet' }, NOTHING[key] || 'None.'));
  }

  function columns({ als, content, mixed }, others) {
    const ranks = (first, second) => [first && `plays ${first}`, second && `content ${second}`].filter(Boolean).join(', ');
    return [
      column('als', 'By plays (ALS)', als.map((ref) => songItem(ref, others))),
      column('content', 'By content', content.map((ref) => songItem(ref, others))),
      column('mixed', 'Mixed', mixed.map(([ref, first, second]) => songItem(ref, others, ranks(first, second)))),
    ];
  }

  const alert = (error) => element('p', { role: 'alert' }, error.message);

  function forUsers() {
    const select = element('select', { id: 'user' }), lists = element('div', { class: 'lists', 'aria-live': 'polite' });
    const box = element('div', { id: 'for-user' }, element('h3', {}, 'For a user'),
      element('label', { for: 'user', class: 'quiet' }, 'User '), select, lists);
    msd.load('recommend-users').then(({ users, others }) => {
      if (!users.length) box.replaceChildren();
      select.append(...users.map((user, place) => element('option', { value: place }, `${user.id} (${user.tracks.toLocaleString('en')} song${user.tracks === 1 ? '' : 's'})`)));
      const show = () => {
        const user = users[select.value];
        const played = user.played.map(([ref, plays]) => songItem(ref, others, `${plays.toLocaleString('en')} ×`));
        lists.replaceChildren(column('played', 'Most played', played), ...columns(user, others));
      };
      select.addEventListener('change', show);
      if (users.length) show();
    }, (error) => lists.replaceChildren(alert(error)));
    return box;
  }

  function fromSongs() {
    const { songs } = msd;
    const chosen = [];
    let version = 0;
    const input = element('input', { id: 'add-song', type: 'text', role: 'combobox', 'aria-autocomplete': 'list', 'aria-expanded': 'false', 'aria-controls': 'add-found', autocomplete: 'off', spellcheck: 'false' });
    const suggestions = element('ul', { id: 'add-found', class: 'found', role: 'listbox', 'aria-label': 'Songs to add', hidden: true });
    const status = element('span', { class: 'search-status', role: 'status' });
    const list = element('ul', { class: 'chosen', 'aria-label': 'Recommended from' }), lists = element('div', { class: 'lists', 'aria-live': 'polite' });
    const box = element('div', { id: 'from-songs' }, element('h3', {}, 'From songs'),
      element('p', { class: 'quiet' }, 'Add songs here, from the panel of a selected song, or from the lasso. Candidates are the songs of this report.'),
      element('div', { class: 'search' }, element('label', { for: 'add-song', class: 'quiet' }, 'Add a song'), input, suggestions, status), list, lists);

    async function change() {
      const current = ++version;
      await songs.load(chosen.slice(0, SHOWN));
      if (current !== version) return;
      const named = chosen.slice(0, SHOWN).map((row) => element('li', {}, element('button',
        { type: 'button', 'aria-label': `Remove ${songs.title(row)}`, onclick: () => { chosen.splice(chosen.indexOf(row), 1); change(); } },
        element('span', {}, songs.title(row)), ' ', element('span', { class: 'quiet' }, songs.artist(row)), ' ×')));
      if (chosen.length > SHOWN) named.push(element('li', { class: 'quiet' }, `and ${(chosen.length - SHOWN).toLocaleString('en')} more`));
      if (chosen.length) named.push(element('li', {}, element('button', { type: 'button', onclick: () => { chosen.length = 0; change(); } }, 'Remove all')));
      list.replaceChildren(...named);
      if (!chosen.length) {
        lists.replaceChildren();
        return;
      }
      try {
        recommend = recommend || await msd.recommenders.create(await msd.load('recommender'));
      } catch (error) {
        lists.replaceChildren(alert(error));
        return;
      }
      if (current !== version) return; // the selection changed meanwhile
      const result = recommend(chosen);
      lists.replaceChildren(...columns(result, []));
      if (result.known && result.known < chosen.length) {
        lists.prepend(element('p', { class: 'quiet' }, `${result.known.toLocaleString('en')} of the ${chosen.length.toLocaleString('en')} songs have ALS factors.`));
      }
    }

    msd.search.attach(input, suggestions, status, (row) => {
      add([row]);
      input.value = '';
    });
    let recommend = null;
    function add(rows) {
      const present = new Set(chosen), step = Math.ceil(rows.length / MOST_ADDED);
      for (let i = 0; i < rows.length; i += step) if (!present.has(rows[i])) chosen.push(rows[i]);
      status.textContent = step > 1 ? `every ${step}th of ${rows.length.toLocaleString('en')} songs` : '';
      return change();
    }
    return { box, add };
  }

  let from = null;

  // Fill the section, if the report has one.
  function start(box) {
    if (!box) return;
    from = fromSongs();
    let users = false;
    new IntersectionObserver((entries, watch) => {
      if (users || !entries.some(({ isIntersecting }) => isIntersecting)) return;
      users = true;
      watch.disconnect();
      box.prepend(forUsers());
    }, { rootMargin: '300px' }).observe(box);
    box.append(from.box);
  }

  // A button that recommends from rows; null without recommendations.
  function button(text, rows) {
    return from && element('button', {
      type: 'button',
      onclick: () => {
        from.add(rows);
        from.box.scrollIntoView();
      },
    }, text);
  }

  return { start, button };
})();
