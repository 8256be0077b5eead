/**
 * What the keyboard does on every page, and a sign that something takes its time. Written by hand and apart from the rest of
 * the browser's half, which is full: it works before that has arrived and without it. What a key does is done by pressing
 * the link that is there for everybody.
 */
const root = document.documentElement;
const typing = 'input:not([type=checkbox], [type=radio], [type=submit]), textarea, select, [contenteditable]';
const places = { k: 'keys', r: 'resources', s: 'scopes', o: 'routes', m: 'members', a: 'audit', t: 'settings', u: 'users', w: 'workspaces', p: 'policy', n: 'nodes' };
let went = -Infinity;

const press = (selector) => {
  const found = document.querySelector(selector);
  found?.click();
  return found;
};

const open = (what) => {
  // What is typed before it is there is meant for it, and for nothing else.
  let typed = '';
  const keep = (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === 'Backspace') typed = typed.slice(0, -1);
    else if (event.key.length === 1) typed += event.key;
    else return;
    event.preventDefault();
    event.stopImmediatePropagation();
  };
  addEventListener('keydown', keep, true);
  import('./palette.js')
    .finally(() => removeEventListener('keydown', keep, true))
    // Without it there is still the page that it would have shown.
    .then((palette) => palette[what](typed), () => location.assign(`/account/${what}`));
  return true;
};

const search = () => {
  const field = document.querySelector('main input[type=search]');
  field?.focus();
  field?.select();
  return field ?? open('find');
};

const acts = {
  '/': search,
  '?': () => open('keyboard'),
  c: () => press('#add-key, .page-head a.button-primary'),
};

const pressed = (event) => {
  const { key } = event;
  if (event.timeStamp - went < 1500) {
    went = -Infinity;
    return places[key] && press(`.places a[href$="/${places[key]}"]`);
  }
  if (key === 'g') went = event.timeStamp;
  return acts[key]?.();
};

addEventListener('keydown', (event) => {
  const busy = event.defaultPrevented || event.isComposing || event.repeat || event.altKey;
  // Only for those who are signed in, and never under a dialog or a menu.
  if (busy || !document.querySelector('.topbar .menu-button') || document.querySelector(':modal, .menu:popover-open')) return;
  const held = event.ctrlKey || event.metaKey;
  if (held && !event.shiftKey && event.key.toLowerCase() === 'k') {
    event.preventDefault();
    open('find');
  } else if (!held && root.dataset.shortcuts !== 'off' && !event.target.closest?.(typing) && pressed(event)) {
    event.preventDefault();
  }
});

// What was there stays until its successor has come. Only if that takes longer than a moment is there a sign of it.
const patience = 150;
const slow = new Set();
const ask = fetch.bind(window);
window.fetch = async (...asked) => {
  const mine = setTimeout(() => {
    slow.add(mine);
    root.dataset.waiting = '';
  }, patience);
  try {
    return await ask(...asked);
  } finally {
    clearTimeout(mine);
    slow.delete(mine);
    if (slow.size === 0) delete root.dataset.waiting;
  }
};
