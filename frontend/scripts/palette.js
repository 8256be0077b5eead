/**
 * Dialogs over any page: find, and the list of keys. What they show is a part of the page of the same name, which the
 * server writes; so there is one text of each, and one place that says what somebody may see.
 */
const make = (tag, attributes, ...children) => {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
};

/** The part of a page of this server that has that id. */
const part = async (address, id, signal) => {
  const answer = await fetch(address, { headers: { accept: 'text/html' }, signal });
  // Signed out meanwhile: the page itself leads to the sign-in and back.
  if (answer.redirected) location.assign(address);
  const page = new DOMParser().parseFromString(await answer.text(), 'text/html');
  const found = page.getElementById(id);
  if (!answer.ok || !found) throw new Error(`no ${id}`);
  found.removeAttribute('id');
  return document.adoptNode(found);
};

const unreachable = () => make('p', { class: 'found-none', role: 'alert' }, 'The server cannot be reached. Try again.');

/** A modal dialog that is gone once it is closed; the browser gives the keyboard back to what had it. */
const dialog = (name, title, ...children) => {
  const close = make('button', { class: 'button button-quiet button-small', type: 'button' }, 'Close');
  const heading = make('h2', { id: 'palette-title' }, title);
  const opened = make('dialog', { class: `dialog dialog-narrow ${name}`, 'aria-labelledby': 'palette-title' });
  opened.append(make('div', { class: 'dialog-head' }, heading, close), ...children);
  close.addEventListener('click', () => opened.close());
  opened.addEventListener('close', () => opened.remove());
  opened.addEventListener('click', (event) => {
    const elsewhere = event.ctrlKey || event.metaKey || event.shiftKey;
    // After the page has gone where the link leads.
    if (event.target === opened || (!elsewhere && event.target.closest('a'))) setTimeout(() => opened.close());
  });
  document.body.append(opened);
  opened.showModal();
  return opened;
};

export const keyboard = async () => {
  const body = make('div', { class: 'dialog-body', tabindex: '0' });
  dialog('palette-keys', 'Keyboard shortcuts', body);
  body.append(await part('/account/keyboard', 'shortcuts').catch(unreachable));
};

export const find = (typed) => {
  const here = /^\/w\/([^/]+)/.exec(location.pathname)?.[1] ?? '';
  const field = make('input', { class: 'control', type: 'search', name: 'q', maxlength: 100, autocomplete: 'off', 'aria-label': 'Page, workspace or key' });
  field.placeholder = 'Page, workspace or key';
  field.value = typed;
  const form = make('form', { role: 'search' }, field);
  const body = make('div', { class: 'dialog-body' });
  const said = make('p', { class: 'visually-hidden', role: 'status' });
  const opened = dialog('palette', 'Find', form, body, said);
  let [asked, timer] = [new AbortController(), 0];

  const look = async () => {
    clearTimeout(timer);
    asked.abort();
    asked = new AbortController();
    const { signal } = asked;
    const query = new URLSearchParams({ q: field.value, in: here });
    try {
      const found = await part(`/account/find?${query}`, 'found', signal);
      body.replaceChildren(found);
      said.textContent = found.dataset.said;
    } catch {
      if (!signal.aborted) body.replaceChildren(unreachable());
    }
  };

  field.addEventListener('input', () => {
    clearTimeout(timer);
    timer = setTimeout(look, 120);
  });
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    await look();
    body.querySelector('a')?.click();
  });
  opened.addEventListener('keydown', (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const stops = [field, ...body.querySelectorAll('a')];
    const at = stops.indexOf(document.activeElement) + step;
    stops[(at + stops.length) % stops.length].focus();
  });
  opened.addEventListener('close', () => {
    clearTimeout(timer);
    asked.abort();
  });
  field.focus();
  look();
};
