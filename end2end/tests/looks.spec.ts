/** Every screen and dialog: accessible by machine, in both themes, at every width. `npm run screenshots` takes its picture. */
import type { Page } from '@playwright/test';

import { Frame, visit } from '../pages/frame';
import { SetUpPage, SignInPage } from '../pages/gates';
import { EditScopesDialog, KeysPage, NewKeyDialog, SecretDialog } from '../pages/keys';
import { ADMIN, expect, test } from '../support/fixtures';
import { verify } from '../support/keyfold';
import { examine } from '../support/looks';
import type { Server } from '../support/server';

test.describe.configure({ timeout: 60_000 });

/** A list as a team has it after some weeks. */
async function populate(server: Server, slug: string): Promise<void> {
  const key = (name: string, ...more: string[]): Promise<string> => server.createKey(slug, name, ...more);
  const nightly = await key('Nightly report', '--scope', 'inference', '--expires-in', '30 days');
  await key('Label Studio import', '--scope', 'project', '--expires-in', '6 days');
  await key('Support chat widget', '--kind', 'publishable', '--scope', 'inference');
  await key('Data-set sync, Rotterdam', '--scope', 'project', '--scope', 'chat', '--expires-in', '365 days');
  const gateway = await key('API gateway', '--scope', 'verify', '--scope', 'keys:read', '--scope', 'audit:read', '--expires-in', 'never');
  await key('Old laptop of Grace', '--scope', 'chat');
  await key('', '--scope', 'inference', '--expires-in', '90 days');
  await server.cli(['key', 'deactivate', '--workspace', slug, await server.keyId(slug, 'Old laptop of Grace')]);
  await expect.poll(async () => (await verify(server, gateway, nightly)).code).toBe('valid');
}

/** Opens the list once the uses counted in memory are on it. */
async function visitUsed(page: Page, keys: string): Promise<void> {
  await expect(async () => {
    await visit(page, keys);
    await expect(new KeysPage(page).cell('Nightly report', 'Calls')).toHaveText(/^[1-9]/, { timeout: 500 });
  }).toPass();
}

test('set-up, empty and with errors', async ({ page, startServer, guard }) => {
  guard.expect(/status of 400/);
  const server = await startServer();
  await visit(page, server.setUpLink);
  await examine(page, 'set-up');
  const setUp = new SetUpPage(page);
  await setUp.fill('Vision Lab');
  await setUp.password.fill('passwordpassword');
  await setUp.submit.click();
  await expect(page.locator('#password-error')).toBeVisible();
  await examine(page, 'set-up-errors');
  await visit(page, `${server.url}/setup`);
  await expect(setUp.token).toBeVisible();
  await examine(page, 'set-up-token');
});

test('sign-in, empty and refused', async ({ page, server, guard }) => {
  await visit(page, `${server.url}/sign-in`);
  await examine(page, 'sign-in');
  const signIn = new SignInPage(page);
  guard.expect(/status of 401/);
  await signIn.signIn(ADMIN.username, 'not the password at all');
  await expect(signIn.alert).toBeVisible();
  await examine(page, 'sign-in-refused');
});

test('the empty list', async ({ admin, place }) => {
  await visit(admin, place.keys);
  await examine(admin, 'keys-empty');
});

test('the list, its menus and its states', async ({ admin, place, server }) => {
  await populate(server, place.slug);
  await visitUsed(admin, place.keys);
  await examine(admin, 'keys', { forDocs: true });
  const frame = new Frame(admin);
  await frame.account.click();
  await examine(admin, 'account-menu');
  await admin.keyboard.press('Escape');
  await frame.workspaces.click();
  await examine(admin, 'workspace-menu');
  await admin.keyboard.press('Escape');
  await visit(admin, `${place.keys}?q=zebra`);
  await examine(admin, 'keys-no-match');
  await server.cli(['key', 'delete', '--workspace', place.slug, await server.keyId(place.slug, 'Support chat widget')]);
  await visit(admin, `${place.keys}?state=all&sort=name`);
  await expect(new KeysPage(admin).cell('Support chat widget', 'Status')).toHaveText('Deleted');
  await examine(admin, 'keys-all');
});

test('Add New Key, as offered, filled in and refused', async ({ admin, place, server }) => {
  await populate(server, place.slug);
  await visit(admin, `${place.keys}/new`);
  const form = new NewKeyDialog(admin);
  await examine(admin, 'new-key-offered');
  await form.fill({ name: 'Nightly report', scopes: ['inference', 'chat'] });
  await form.expires.selectOption('30');
  await examine(admin, 'new-key', { forDocs: true });
  await form.kind('Management').check();
  await form.expires.selectOption('date');
  await expect(form.lastDay).toBeVisible();
  await form.dialog.getByText('Add a note').click();
  await examine(admin, 'new-key-management');
});

test('Add New Key, refused', async ({ admin, place }) => {
  await visit(admin, `${place.keys}/new`);
  const form = new NewKeyDialog(admin);
  await form.name.fill('Nightly report');
  await form.generate.click();
  await expect(admin.locator('#scopes-error')).toBeVisible();
  await examine(admin, 'new-key-refused');
});

test('the copy-once dialog', async ({ admin, place, server }) => {
  await populate(server, place.slug);
  await visit(admin, `${place.keys}/new`);
  const form = new NewKeyDialog(admin);
  await form.fill({ name: 'Release build', scopes: ['inference'] });
  await form.generate.click();
  const shown = new SecretDialog(admin);
  await shown.read();
  await examine(admin, 'secret', { forDocs: true });
  await shown.copy.click();
  await expect(shown.says).toHaveText('Copied.');
  await shown.dialog.getByRole('button', { name: 'Python' }).click();
  await examine(admin, 'secret-copied');
});

test('edit scopes, with what is gained and lost, and the toast afterwards', async ({ admin, place, server }) => {
  await populate(server, place.slug);
  await visit(admin, place.keys);
  await new KeysPage(admin).editScopes('Data-set sync, Rotterdam').click();
  const edit = new EditScopesDialog(admin);
  await edit.scope('project').uncheck();
  await edit.scope('inference').check();
  await expect(edit.part('Loses')).toBeVisible();
  await examine(admin, 'edit-scopes', { forDocs: true });
  await edit.scope('project').check();
  await edit.save.click();
  await expect(new Frame(admin).toast).toBeVisible();
  await new Frame(admin).toast.hover();
  await examine(admin, 'toast');
});

test('delete, of a key in use and of one that was never used', async ({ admin, place, server }) => {
  await populate(server, place.slug);
  await visitUsed(admin, place.keys);
  await visit(admin, `${place.keys}/${await server.keyId(place.slug, 'Nightly report')}/delete`);
  await examine(admin, 'delete-in-use', { forDocs: true });
  await visit(admin, `${place.keys}/${await server.keyId(place.slug, 'Label Studio import')}/delete`);
  await examine(admin, 'delete');
});

test('account, nothing here, and no workspace', async ({ admin, open, server, guard }) => {
  await visit(admin, `${server.url}/account`);
  await examine(admin, 'account');
  guard.expect(/status of 404/);
  const page = await open();
  await visit(page, `${server.url}/no/such/page`);
  await examine(page, 'nothing-here');
});

test('a key that is not there, in a dialog', async ({ admin, place, guard }) => {
  guard.expect(/status of 404/);
  await visit(admin, `${place.keys}/key_0000000000000000000000/scopes`);
  await expect(admin.getByRole('heading', { name: 'Nothing here' })).toBeVisible();
  await examine(admin, 'key-not-found');
});

test('without script: the form as a page, the secret, and its second showing', async ({ admin, place, guard }) => {
  guard.expect(/net::ERR_BLOCKED_BY_CLIENT/);
  guard.expect(/uncaught: TypeError: Failed to fetch/);
  await admin.context().route('**/*.wasm', (route) => route.abort('blockedbyclient'));
  await admin.goto(`${place.keys}/new`);
  await examine(admin, 'plain-new-key');
  const form = new NewKeyDialog(admin);
  await form.fill({ name: 'Nightly report', scopes: ['inference'] });
  await form.generate.click();
  await expect(admin.getByRole('heading', { name: 'Copy your new key' })).toBeVisible();
  await examine(admin, 'plain-secret');
  await admin.reload();
  await expect(admin.getByRole('heading', { name: 'The secret was shown already' })).toBeVisible();
  await examine(admin, 'plain-already-shown');
});

test('plain HTTP warns on every page', async ({ page, startServer }) => {
  const server = await startServer({ plainHttp: true });
  await visit(page, `${server.url}/setup`);
  await expect(page.getByText('This page came over plain HTTP')).toBeVisible();
  await examine(page, 'plain-http');
});

test('the chosen theme comes with the page, before any script', async ({ admin, open, place, server }) => {
  await visit(admin, place.keys);
  await admin.emulateMedia({ colorScheme: 'light' });
  const background = (page: Page): Promise<string> => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const light = await background(admin);
  await new Frame(admin).pickTheme('Dark');
  await expect(admin.locator('html')).toHaveAttribute('data-theme', 'dark');
  const dark = await background(admin);
  expect(dark).not.toBe(light);
  await expect.poll(async () => (await admin.context().cookies()).find(({ name }) => name === 'kf_theme')?.value).toBe('dark');

  const plain = await open({ javaScriptEnabled: false, colorScheme: 'light' });
  await plain.context().addCookies(await admin.context().cookies());
  await plain.goto(place.keys);
  await expect(plain.locator('html')).toHaveAttribute('data-theme', 'dark');

  await admin.reload();
  expect(await background(admin)).toBe(dark);
  await visit(admin, `${server.url}/account`);
  await admin.locator('main').getByRole('button', { name: 'System' }).click();
  await expect.poll(() => background(admin)).toBe(light);
  await admin.emulateMedia({ colorScheme: 'dark' });
  await expect.poll(() => background(admin)).toBe(dark);
});

test('in forced colours a chosen, a dangerous and a disabled control can still be told apart', async ({ admin, place }) => {
  await admin.emulateMedia({ forcedColors: 'active' });
  await visit(admin, `${place.keys}/new`);
  const form = new NewKeyDialog(admin);
  const look = (of: ReturnType<NewKeyDialog['kind']>): Promise<string> =>
    of.locator('xpath=ancestor-or-self::label').evaluate((label) => {
      const style = getComputedStyle(label);
      const box = getComputedStyle(label.querySelector('input') ?? label);
      return [style.borderColor, style.outline, style.backgroundColor, style.borderWidth, box.appearance, box.accentColor].join(' ');
    });
  const [chosen, other] = [await look(form.kind('Secret')), await look(form.kind('Publishable'))];
  // Either the card looks different, or the browser's own radio is there to tell.
  const native = await form.kind('Secret').evaluate((radio) => {
    const box = radio.getBoundingClientRect();
    return getComputedStyle(radio).appearance !== 'none' && box.width >= 12 && getComputedStyle(radio).opacity !== '0';
  });
  expect(native || chosen !== other).toBe(true);
  await form.fill({ name: 'CI pipeline', scopes: ['inference'] });
  await form.generate.click();
  const shown = new SecretDialog(admin);
  await shown.read();
  const colour = (of: typeof shown.done): Promise<string> => of.evaluate((button) => getComputedStyle(button).color + getComputedStyle(button).borderColor);
  const disabled = await colour(shown.done);
  await shown.stored.check();
  await expect(shown.done).toBeEnabled();
  expect(await colour(shown.done)).not.toBe(disabled);
});

test('with reduced motion nothing moves', async ({ admin, place }) => {
  await admin.emulateMedia({ reducedMotion: 'reduce' });
  await visit(admin, place.keys);
  await new KeysPage(admin).add.click();
  await expect(new NewKeyDialog(admin).dialog).toBeVisible();
  const moving = await admin.evaluate(() =>
    document.getAnimations().filter((animation) => Number(animation.effect?.getComputedTiming().duration ?? 0) > 10).length,
  );
  expect(moving).toBe(0);
});

test('motion is short where it is wanted', async ({ admin, place }) => {
  await admin.emulateMedia({ reducedMotion: 'no-preference' });
  await visit(admin, place.keys);
  const durations = await admin.evaluate(() =>
    [...document.styleSheets].flatMap((sheet) => [...sheet.cssRules].map((rule) => rule.cssText).join('\n').match(/(?:transition|animation)[^;]*?\d*\.?\d+m?s\b/g) ?? []),
  );
  const slow = durations.filter((text) => {
    const found = [...text.matchAll(/(\d*\.?\d+)(m?s)\b/g)].map(([, amount, unit]) => Number(amount) * (unit === 's' ? 1000 : 1));
    return found.some((ms) => ms > 150) && !/infinite/.test(text);
  });
  expect(slow).toEqual([]);
});
