/** What can go wrong is said where it went wrong, and nothing that was typed is lost. */
import type { Locator, Page } from '@playwright/test';

import { Frame, alive, visit } from '../pages/frame';
import { SetUpPage, SignInPage } from '../pages/gates';
import { DeleteDialog, EditScopesDialog, KeysPage, NewKeyDialog, SecretDialog } from '../pages/keys';
import { ADMIN, expect, test } from '../support/fixtures';
import { json } from '../support/http';
import { whoami } from '../support/keyfold';

/** The field says that it is wrong, and what is wrong, to eyes and ears alike; and it has the keyboard. */
async function expectFieldError(field: Locator, text: string | RegExp): Promise<void> {
  await expect(field).toHaveAttribute('aria-invalid', 'true');
  await expect(field).toHaveAccessibleDescription(text);
  await expect(field).toBeFocused();
  const page = field.page();
  const ids = ((await field.getAttribute('aria-describedby')) ?? '').split(' ').filter((id) => id.endsWith('-error'));
  expect(ids).toHaveLength(1);
  const error = page.locator(`#${ids[0]}`);
  await expect(error).toBeVisible();
  const [above, below] = [await field.boundingBox(), await error.boundingBox()];
  expect(Math.abs((below?.y ?? 0) - (above?.y ?? 0)), 'the error is beside its field').toBeLessThan(120);
}

/** What is in every field of a form, passwords included. */
function filledIn(page: Page, form: string): Promise<Record<string, string[]>> {
  return page.locator(form).evaluate((element) => {
    const entries = [...new FormData(element as HTMLFormElement).entries()];
    return Object.fromEntries(entries.map(([name]) => [name, entries.filter(([other]) => other === name).map(([, value]) => String(value))]));
  });
}

test('set-up names each field that is wrong, beside it, and keeps all that was typed', async ({ page, startServer, guard }) => {
  const server = await startServer();
  guard.expect(/status of 400/);
  await visit(page, server.setUpLink);
  const form = new SetUpPage(page);
  await form.fill('Vision Lab');
  const cases: { field: Locator; bad: string; says: RegExp; good: string }[] = [
    { field: form.username, bad: 'ada lovelace', says: /letters, digits/, good: ADMIN.username },
    { field: form.password, bad: 'too short', says: /at least 15 characters/i, good: ADMIN.password },
    { field: form.password, bad: 'passwordpassword', says: /among the first that would be guessed/, good: ADMIN.password },
    { field: form.displayName, bad: 'Ada \u202Egnp', says: /direction of text/, good: ADMIN.displayName },
    { field: form.workspaceSlug, bad: 'Vision Lab!', says: /lower-case letters/, good: 'vision-lab' },
  ];
  for (const { field, bad, says, good } of cases) {
    await test.step(`${bad}: ${says}`, async () => {
      await field.fill(bad);
      const before = await filledIn(page, 'form');
      await form.submit.click();
      await expectFieldError(field, says);
      expect(await filledIn(page, 'form')).toEqual(before);
      await field.fill(good);
    });
  }
  await form.submit.click();
  await page.waitForURL('**/w/vision-lab/keys');
});

test('set-up asks for what is missing before anything is sent', async ({ page, startServer }) => {
  const server = await startServer();
  await visit(page, server.setUpLink);
  const form = new SetUpPage(page);
  let sent = 0;
  page.on('request', (request) => {
    if (request.method() === 'POST') sent += 1;
  });
  for (const field of [form.username, form.email, form.password, form.workspaceName, form.workspaceSlug]) {
    // The short name follows the name, so it is missing only once it was emptied.
    if (field === form.workspaceSlug) await field.fill('');
    await form.submit.click();
    await expect(field).toBeFocused();
    expect(await field.evaluate((input: HTMLInputElement) => input.validity.valueMissing)).toBe(true);
    await field.fill(field === form.email ? ADMIN.email : 'something-long-enough');
  }
  expect(sent).toBe(0);
});

test('a wrong or used set-up token is refused, and set-up is gone once it is done', async ({ page, open, startServer, guard }) => {
  const server = await startServer();
  guard.expect(/status of 403/);
  guard.expect(/status of 404/);
  await visit(page, `${server.url}/setup?token=wrong`);
  const form = new SetUpPage(page);
  await form.fill('Vision Lab');
  await form.submit.click();
  await expect(page.getByRole('alert')).toContainText(/token|link/i);
  await expect(form.username).toHaveValue(ADMIN.username);

  await server.setUp({ slug: 'vision-lab', name: 'Vision Lab' });
  await form.submit.click();
  await expect(page.getByRole('alert')).toContainText('set up already');
  const late = await open();
  await visit(late, server.setUpLink);
  await expect(late.getByRole('heading', { name: 'Nothing here' })).toBeVisible();
});

test('before set-up every page leads to it, and afterwards to signing in', async ({ page, startServer }) => {
  const server = await startServer();
  await page.goto(`${server.url}/`);
  await page.waitForURL('**/setup');
  await alive(page);
  await expect(new SetUpPage(page).token).toBeVisible();
  await server.setUp({ slug: 'vision-lab', name: 'Vision Lab' });
  await page.goto(`${server.url}/`);
  await page.waitForURL('**/sign-in');
  await expect(new SignInPage(page).heading).toBeVisible();
});

test('a wrong password and an unknown user are told the same, and the name stays', async ({ page, server, guard }) => {
  guard.expect(/status of 401/);
  await visit(page, `${server.url}/sign-in`);
  const form = new SignInPage(page);
  await form.signIn(ADMIN.username, 'not the password at all');
  const told = await form.alert.innerText();
  expect(told.length).toBeGreaterThan(10);
  await expect(form.login).toHaveValue(ADMIN.username);
  await form.signIn('nobody-of-that-name', 'not the password at all');
  await expect(form.alert).toHaveText(told);
  await expect(form.login).toHaveValue('nobody-of-that-name');
});

test('too many wrong passwords are slowed down, and it is said for how long', async ({ page, startServer, guard }) => {
  const server = await startServer();
  await server.setUp({ slug: 'vision-lab', name: 'Vision Lab' });
  guard.expect(/status of 401/);
  guard.expect(/status of 429/);
  await visit(page, `${server.url}/sign-in`);
  const form = new SignInPage(page);
  await expect(async () => {
    await form.signIn(ADMIN.username, 'not the password at all');
    await expect(form.alert).toContainText(/Too many tries\. Wait \d+ seconds?/, { timeout: 1_000 });
  }).toPass();
});

test('signing in leads on to the page that was asked for, and never to another site', async ({ page, startServer }) => {
  const server = await startServer();
  await server.setUp({ slug: 'vision-lab', name: 'Vision Lab' });
  await page.goto(`${server.url}/w/vision-lab/keys?state=all&q=x`);
  await page.waitForURL('**/sign-in?next=**');
  await alive(page);
  await new SignInPage(page).signIn();
  await page.waitForURL('**/w/vision-lab/keys?**');
  expect(Object.fromEntries(new URL(page.url()).searchParams)).toEqual({ state: 'all', q: 'x' });
  await new Frame(page).signOut();
  await visit(page, `${server.url}/sign-in?next=${encodeURIComponent('//elsewhere.test/')}`);
  await new SignInPage(page).signIn();
  await page.waitForURL('**/w/vision-lab/keys');
  expect(new URL(page.url()).host).toBe(new URL(server.url).host);
});

test('the form of a new key names each field that is wrong, beside it, and keeps all that was typed', async ({ admin, place }) => {
  await visit(admin, `${place.keys}/new`);
  const form = new NewKeyDialog(admin);
  await form.name.fill('Nightly report');
  await form.dialog.getByText('Add a note').click();
  await form.note.fill('First line\nsecond line');
  await form.idle.selectOption('60');

  await test.step('no scope', async () => {
    await form.generate.click();
    await expect(admin.locator('#scopes-error')).toHaveText('Choose at least one scope.');
    await expect(form.dialog.getByRole('group', { name: 'Scopes' })).toHaveAccessibleDescription(/Choose at least one scope/);
    await expect(form.scope('project')).toBeFocused();
    await form.scope('inference').check();
  });

  const cases: { title: string; field: Locator; prepare: () => Promise<unknown>; says: RegExp; mend: () => Promise<unknown> }[] = [
    {
      title: 'a name that turns text round',
      field: form.name,
      prepare: () => form.name.fill('Nightly \u202Etroper'),
      says: /direction of text/,
      mend: () => form.name.fill('Nightly report'),
    },
    {
      title: 'no day chosen',
      field: form.lastDay,
      prepare: () => form.expires.selectOption('date'),
      says: /Choose the last day/,
      mend: () => form.lastDay.fill('2031-01-31'),
    },
    {
      title: 'a note that turns text round',
      field: form.note,
      prepare: () => form.note.fill('a\u202Eb'),
      says: /direction of text/,
      mend: () => form.note.fill('First line\nsecond line'),
    },
  ];
  for (const { title, field, prepare, says, mend } of cases) {
    await test.step(title, async () => {
      await prepare();
      const before = await filledIn(admin, '#new-key');
      await form.generate.click();
      await expectFieldError(field, says);
      expect(await filledIn(admin, '#new-key')).toEqual(before);
      await mend();
    });
  }

  await test.step('a day that is over', async () => {
    // The picker does not offer it; a browser without one lets it be typed.
    await form.lastDay.evaluate((input) => input.removeAttribute('min'));
    await form.lastDay.fill('2020-01-31');
    await form.generate.click();
    await expect(admin.locator('#expiry-error, #expires_on-error').filter({ visible: true })).toContainText(/from now/);
    await form.expires.selectOption('30');
  });

  await form.generate.click();
  await new SecretDialog(admin).finish();
  await expect(new KeysPage(admin).row('Nightly report')).toBeVisible();
});

test('the kind of key decides which scopes are on offer', async ({ admin, place }) => {
  await visit(admin, `${place.keys}/new`);
  const form = new NewKeyDialog(admin);
  const offered = async (): Promise<string[]> =>
    form.dialog.locator('input[name="scopes[]"]').filter({ visible: true }).evaluateAll((boxes) => boxes.map((box) => (box as HTMLInputElement).value));
  expect(await offered()).toEqual(['project', 'inference', 'chat']);
  await form.scope('chat').check();
  await form.scope('inference').check();
  await form.kind('Publishable').check();
  expect(await offered()).toEqual(['inference']);
  await expect(form.promise).toContainText('Can make predictions in Vision Lab');
  await expect(form.promise).not.toContainText('talk');
  await form.kind('Management').check();
  expect(await offered()).toHaveLength(8);
  await form.dialog.getByRole('button', { name: 'Select all of Managing Keyfold' }).click();
  await expect(form.scope('verify')).toBeChecked();
  await form.kind('Publishable').check();
  await form.name.fill('Widget');
  await form.generate.click();
  const shown = new SecretDialog(admin);
  expect(await shown.read()).toMatch(/^kf_pub_/);
  await shown.finish();
  await expect(new KeysPage(admin).cell('Widget', 'Scopes')).toHaveText('inference');
});

test('a chosen last day ends where the viewer is, not in UTC', async ({ openAdmin, place, server }) => {
  for (const [timezoneId, day, ends] of [
    ['Pacific/Kiritimati', '2031-02-19', '2031-02-19T09:59:59.999Z'],
    ['America/Los_Angeles', '2031-03-09', '2031-03-10T06:59:59.999Z'],
    ['Asia/Kolkata', '2031-02-19', '2031-02-19T18:29:59.999Z'],
  ] as const) {
    const page = await openAdmin({ timezoneId });
    await visit(page, `${place.keys}/new`);
    const form = new NewKeyDialog(page);
    await form.fill({ name: timezoneId, scopes: ['inference'] });
    await form.expires.selectOption('date');
    await form.lastDay.fill(day);
    // The name that the browser has for the zone: it knows Kolkata under its older one.
    const zone = await page.evaluate(() => Intl.DateTimeFormat().resolvedOptions().timeZone);
    await expect(form.promise).toContainText(`23:59 (${zone})`);
    await form.generate.click();
    await new SecretDialog(page).finish();
    expect((await server.keys(place.slug)).find(({ name }) => name === timezoneId)?.expires_at).toBe(ends);
    await page.close();
  }
});

test('a key that was deleted meanwhile says so, whatever was about to be done with it', async ({ admin, place, server, guard }) => {
  guard.expect(/status of 409/);
  await server.createKey(place.slug, 'Shared');
  const id = await server.keyId(place.slug, 'Shared');
  const other = await admin.context().newPage();
  await visit(admin, place.keys);
  const keys = new KeysPage(admin);
  await keys.editScopes('Shared').click();
  const edit = new EditScopesDialog(admin);
  await edit.scope('chat').check();
  await visit(other, `${place.keys}/${id}/delete`);
  await server.cli(['key', 'delete', '--workspace', place.slug, id]);

  await edit.save.click();
  await expect(edit.alert).toContainText(/not.*(exist|there|found)|no longer|gone|deleted/i);
  await expect(edit.scope('chat')).toBeChecked();

  const question = new DeleteDialog(other);
  await question.remove.click();
  await expect(question.alert).toContainText(/not.*(exist|there|found)|no longer|gone|deleted/i);

  await edit.cancel.click();
  await expect(edit.dialog).toBeHidden();
  await visit(admin, place.keys);
  await expect(keys.row('Shared')).toHaveCount(0);
});

test('scopes that somebody else changed meanwhile are not overwritten', async ({ admin, place, server, guard }) => {
  guard.expect(/status of 409/);
  await server.createKey(place.slug, 'Shared');
  const id = await server.keyId(place.slug, 'Shared');
  const other = await admin.context().newPage();
  for (const page of [admin, other]) await visit(page, `${place.keys}/${id}/scopes`);
  const [mine, theirs] = [new EditScopesDialog(admin), new EditScopesDialog(other)];
  await theirs.scope('project').check();
  await theirs.save.click();
  await expect(theirs.dialog).toBeHidden();

  await mine.scope('chat').check();
  await mine.save.click();
  await expect(mine.alert).toContainText('Somebody changed this key meanwhile. Nothing was saved.');
  expect((await server.keys(place.slug))[0]?.scopes.toSorted()).toEqual(['inference', 'project']);
  await mine.alert.getByRole('link', { name: 'Load its present settings' }).click();
  await expect(mine.scope('project')).toBeChecked();
  await mine.scope('chat').check();
  await mine.save.click();
  await expect(mine.dialog).toBeHidden();
  expect((await server.keys(place.slug))[0]?.scopes.toSorted()).toEqual(['chat', 'inference', 'project']);
});

test('a session that has ended says so, and nothing is done', async ({ page, startServer, guard }) => {
  guard.expect(/status of 401/);
  const server = await startServer();
  await visit(page, server.setUpLink);
  const setUp = new SetUpPage(page);
  await setUp.fill('Vision Lab');
  await setUp.submit.click();
  await page.waitForURL('**/w/vision-lab/keys');
  await new KeysPage(page).add.click();
  const form = new NewKeyDialog(page);
  await form.fill({ name: 'Too late', scopes: ['inference'] });
  await page.context().clearCookies();
  await form.generate.click();
  await expect(form.dialog.getByRole('alert')).toContainText(/sign(ed)? (in|out)/i);
  await expect(form.name).toHaveValue('Too late');
  expect(await server.keys('vision-lab')).toEqual([]);
});

test('when the server cannot be reached or answers 503, the form stays as it is and works afterwards', async ({ admin, place, server, guard }) => {
  guard.expect(/ERR_INTERNET_DISCONNECTED/);
  guard.expect(/status of 503/);
  await visit(admin, `${place.keys}/new`);
  const form = new NewKeyDialog(admin);
  await form.fill({ name: 'Stubborn', scopes: ['inference', 'chat'] });
  await form.expires.selectOption('180');
  const before = await filledIn(admin, '#new-key');
  const alert = form.dialog.getByRole('alert');

  await test.step('offline', async () => {
    await admin.context().setOffline(true);
    await form.generate.click();
    await expect(alert).toHaveText('The server cannot be reached. Nothing was changed. Check the connection and try again.');
    expect(await filledIn(admin, '#new-key')).toEqual(before);
    await expect(form.generate).toBeEnabled();
    await admin.context().setOffline(false);
  });

  await test.step('503 from the server', async () => {
    const detail = 'The data store cannot answer at the moment. Nothing was lost; try again.';
    const problem = { type: 'about:blank', title: 'Unavailable', status: 503, code: 'unavailable', detail, request_id: 'req_x' };
    await admin.route('**/_app/create_key', (route) => route.fulfill({ status: 503, contentType: 'application/problem+json', body: JSON.stringify(problem) }));
    await form.generate.click();
    await expect(alert).toHaveText(detail);
    expect(await filledIn(admin, '#new-key')).toEqual(before);
  });

  await test.step('503 from a proxy, with a page that is not ours', async () => {
    await admin.unroute('**/_app/create_key');
    await admin.route('**/_app/create_key', (route) => route.fulfill({ status: 503, contentType: 'text/html', body: '<html>Bad gateway</html>' }));
    await form.generate.click();
    await expect(alert).toContainText(/server/i);
    expect(await filledIn(admin, '#new-key')).toEqual(before);
    await admin.unroute('**/_app/create_key');
  });

  expect(await server.keys(place.slug)).toEqual([]);
  await form.generate.click();
  await new SecretDialog(admin).finish();
  expect((await server.keys(place.slug)).map(({ name }) => name)).toEqual(['Stubborn']);
});

test('an answer that was lost on its way makes no second key when the form is sent again', async ({ admin, place, server, guard }) => {
  guard.expect(/ERR_CONNECTION_RESET/);
  guard.expect(/status of 409/);
  await visit(admin, `${place.keys}/new`);
  const form = new NewKeyDialog(admin);
  await form.fill({ name: 'Once', scopes: ['inference'] });
  await admin.route('**/_app/create_key', async (route) => {
    await route.fetch();
    await route.abort('connectionreset');
  });
  await form.generate.click();
  await expect(form.dialog.getByRole('alert')).toContainText('cannot be reached');
  await admin.unroute('**/_app/create_key');
  await form.generate.click();
  await expect(form.dialog.getByRole('alert')).toContainText(/already/i);
  expect((await server.keys(place.slug)).map(({ name }) => name)).toEqual(['Once']);
});

test('no key and no match are two things, and a search finds by name and by last characters', async ({ admin, place, server }) => {
  await visit(admin, place.keys);
  await expect(admin.getByRole('heading', { name: 'Make your first key' })).toBeVisible();
  const secret = await server.createKey(place.slug, 'Nightly report');
  await server.createKey(place.slug, 'Gateway');
  await visit(admin, place.keys);
  const keys = new KeysPage(admin);
  await keys.search.fill('zebra');
  await expect(admin.getByRole('heading', { name: 'No key matches' })).toBeVisible();
  await expect(admin.getByText('Nothing on this list contains “zebra”.')).toBeVisible();
  expect(new URL(admin.url()).searchParams.get('q')).toBe('zebra');
  await expect(keys.search).toBeFocused();
  await keys.search.fill('NIGHT');
  await expect(keys.table.getByRole('rowheader')).toHaveText([/Nightly report/]);
  await keys.search.fill(secret.slice(-4));
  await expect(keys.table.getByRole('rowheader')).toHaveText([/Nightly report/]);
  await keys.search.fill('');
  await expect(keys.table.getByRole('rowheader')).toHaveCount(2);
});

test('states, orders and pages are addresses that can be gone back to', async ({ admin, place, server }) => {
  test.setTimeout(60_000);
  const caller = await server.createKey(place.slug, 'Aaa caller', '--scope', 'keys:write', '--scope', 'inference');
  await expect.poll(async () => (await whoami(server, caller)).status, 'what the command line made holds within a second').toBe(200);
  const names = Array.from({ length: 60 }, (_, at) => `Key ${String(at).padStart(2, '0')}`);
  for (const name of names) {
    const made = await json(`http://127.0.0.1:${server.port}/v1/workspaces/${place.slug}/keys`, {
      method: 'POST',
      headers: { authorization: `Bearer ${caller}` },
      send: { name, kind: 'secret', scopes: ['inference'] },
    });
    expect(made.status, JSON.stringify(made.body)).toBe(201);
  }
  await visit(admin, `${place.keys}?sort=name`);
  const keys = new KeysPage(admin);
  const rows = keys.table.getByRole('rowheader');
  await expect(rows).toHaveCount(50);
  await expect(rows.first()).toContainText('Aaa caller');
  await admin.getByRole('link', { name: 'Next page' }).click();
  await expect(rows).toHaveCount(11);
  await expect(rows.last()).toContainText('Key 59');
  await admin.reload();
  await expect(rows).toHaveCount(11);
  await admin.goBack();
  await expect(rows).toHaveCount(50);
  await keys.table.getByRole('link', { name: 'Key', exact: true }).click();
  await expect(rows.first()).toContainText('Key 59');
  await expect(keys.table.getByRole('columnheader', { name: 'Key', exact: true })).toHaveAttribute('aria-sort', 'descending');
  await keys.state('Inactive').click();
  await expect(admin.getByRole('heading', { name: 'No key matches' })).toBeVisible();
  await admin.goBack();
  await expect(rows.first()).toContainText('Key 59');
});

test('names that try to be more than names stay names', async ({ admin, place, server }) => {
  const names = [
    '<img src=x onerror="document.title=`owned`">',
    '"><script>document.title="owned"</script>',
    '</title><script>document.title="owned"</script>',
    'javascript:document.title="owned"',
    '{{7*7}} ${7*7} &lt;b&gt;',
    'مفتاح التقرير الليلي',
    '漢'.repeat(100),
    'W'.repeat(100),
    '👩🏽‍🔬 lab 👩‍👩‍👧‍👦',
  ];
  for (const name of names) await server.createKey(place.slug, name);
  await admin.setViewportSize({ width: 390, height: 844 });
  await visit(admin, `${place.keys}?sort=name`);
  const keys = new KeysPage(admin);
  await expect(keys.table.getByRole('rowheader')).toHaveCount(names.length);
  const sideways = (): Promise<boolean> => admin.evaluate(() => document.documentElement.scrollWidth > document.documentElement.clientWidth);
  expect(await sideways()).toBe(false);
  for (const { id, name } of await server.keys(place.slug)) {
    await test.step(name.slice(0, 30), async () => {
      await expect(keys.table.getByText(name, { exact: true })).toBeVisible();
      for (const act of ['scopes', 'delete']) {
        await visit(admin, `${place.keys}/${id}/${act}`);
        await expect(admin.getByRole('dialog')).toContainText(name);
        expect(await sideways()).toBe(false);
        await expect(admin).toHaveTitle('API keys · Keyfold');
      }
      await new DeleteDialog(admin).remove.click();
      await expect(new Frame(admin).toast).toContainText(name);
      await expect(admin).toHaveTitle('API keys · Keyfold');
    });
  }
  expect(await admin.locator('img[src="x"]').count()).toBe(0);
});

test('a search for markup is shown as it was typed', async ({ admin, place, server }) => {
  await server.createKey(place.slug, 'Gateway');
  const wish = '"><script>document.title="owned"</script>';
  await visit(admin, `${place.keys}?q=${encodeURIComponent(wish)}`);
  await expect(admin.getByText(`contains “${wish}”.`)).toBeVisible();
  await expect(new KeysPage(admin).search).toHaveValue(wish);
  await expect(admin).toHaveTitle('API keys · Keyfold');
});

test('a viewer may look and is not offered what they may not do', async ({ open, place, server }) => {
  await server.createKey(place.slug, 'Of Ada');
  await server.cli(['user', 'create', '--email', 'vic@example.com', '--username', `vic-${place.slug}`, '--password-stdin'], 'nine blue kettles sing badly\n');
  await server.cli(['member', 'add', '--workspace', place.slug, '--user', `vic-${place.slug}`, '--role', 'viewer']);
  const page = await open();
  await visit(page, `${server.url}/sign-in`);
  await new SignInPage(page).signIn(`vic-${place.slug}`, 'nine blue kettles sing badly');
  await page.waitForURL('**/w/**');
  await expect(page.getByRole('heading', { name: 'No keys yet' })).toBeVisible();
  await expect(new KeysPage(page).add).toHaveCount(0);
  await expect(page.getByText('Of Ada')).toHaveCount(0);
});

test('a dialog whose code cannot be fetched comes from the server instead', async ({ admin, place, server, guard }) => {
  guard.expect(/\.wasm: net::ERR_BLOCKED_BY_CLIENT/);
  guard.expect(/console error: Failed to load resource: net::ERR_BLOCKED_BY_CLIENT/);
  guard.expect(/console error: .*Failed to fetch/);
  await visit(admin, place.keys);
  const [dialogs, form] = ['**/split_dialogs*.wasm', new NewKeyDialog(admin)];
  await admin.route(dialogs, (route) => route.abort('blockedbyclient'));

  await test.step('a press loads the page, and its form works without script', async () => {
    await new KeysPage(admin).add.click();
    await admin.waitForURL('**/keys/new');
    await expect(admin.locator('html')).not.toHaveAttribute('data-script');
    await form.fill({ name: 'Nightly report', scopes: ['inference'] });
    await form.generate.click();
    await expect(admin.getByRole('heading', { name: 'Copy your new key' })).toBeVisible();
    expect(await server.keys(place.slug)).toHaveLength(1);
  });

  await test.step('once it can be fetched again, so can the next press', async () => {
    await admin.unroute(dialogs);
    await visit(admin, place.keys);
    await new KeysPage(admin).add.click();
    await expect(form.dialog).toBeVisible();
    await alive(admin);
  });
});
