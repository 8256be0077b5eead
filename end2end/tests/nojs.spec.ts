/** The whole journey without script: switched off, or cut short because the WASM never arrives. Every act is a form. */
import type { Page } from '@playwright/test';

import { SetUpPage, SignInPage } from '../pages/gates';
import { DeleteDialog, EditScopesDialog, KeysPage, NewKeyDialog } from '../pages/keys';
import { ADMIN, expect, test } from '../support/fixtures';
import type { Guard } from '../support/guard';
import { verify, whoami } from '../support/keyfold';

interface Way {
  title: string;
  prepare(open: (options?: { javaScriptEnabled?: boolean }) => Promise<Page>, guard: Guard): Promise<Page>;
}

const WAYS: Way[] = [
  {
    title: 'with script switched off',
    prepare: (open) => open({ javaScriptEnabled: false }),
  },
  {
    title: 'with the WASM blocked',
    prepare: async (open, guard) => {
      const page = await open();
      await page.context().route('**/*.wasm', (route) => route.abort('blockedbyclient'));
      guard.expect(/\.wasm: net::ERR_BLOCKED_BY_CLIENT/);
      guard.expect(/console error: Failed to load resource: net::ERR_BLOCKED_BY_CLIENT/);
      guard.expect(/uncaught: TypeError: Failed to fetch/);
      return page;
    },
  },
];

for (const { title, prepare } of WAYS) {
  test(`${title}, a new user sets up, makes a key, narrows it, deletes it, picks a theme and signs out and in`, async ({ open, guard, startServer }) => {
    test.setTimeout(60_000);
    const server = await startServer();
    const page = await prepare(open, guard);
    const keys = new KeysPage(page);
    let secret = '';
    // The forms that are refused below.
    guard.expect(/status of 400/);

    await test.step('set up', async () => {
      await page.goto(server.setUpLink);
      const setUp = new SetUpPage(page);
      await setUp.fill('Vision Lab');
      await setUp.workspaceSlug.fill('vision-lab');
      await setUp.submit.click();
      await page.waitForURL('**/w/vision-lab/keys');
      await expect(page.getByRole('heading', { name: 'Make your first key' })).toBeVisible();
    });

    await test.step('a form that is refused comes back as it was, with what is wrong beside the field', async () => {
      await keys.add.click();
      await page.waitForURL('**/keys/new');
      const form = new NewKeyDialog(page);
      await form.fill({ name: 'Nightly report', kind: 'Publishable', scopes: [] });
      await form.expires.selectOption('30');
      await form.generate.click();
      await expect(page.locator('#scopes-error')).toHaveText('Choose at least one scope.');
      await expect(form.name).toHaveValue('Nightly report');
      await expect(form.kind('Publishable')).toBeChecked();
      await expect(form.expires).toHaveValue('30');
    });

    await test.step('a key is made, and its secret is on the page this one time', async () => {
      const form = new NewKeyDialog(page);
      await form.kind('Secret').check();
      await form.scope('inference').check();
      await form.scope('chat').check();
      await form.generate.click();
      await expect(page.getByRole('heading', { name: 'Copy your new key' })).toBeVisible();
      secret = (await page.locator('#secret').innerText()).trim();
      expect(secret).toMatch(/^kf_sec_[0-9A-Za-z]{49}$/);
      expect(page.url()).not.toContain(secret);
      expect(await whoami(server, secret)).toMatchObject({ status: 200, name: 'Nightly report', scopes: ['chat', 'inference'] });
    });

    await test.step('loading the page again makes no second key and shows no secret', async () => {
      await page.reload();
      await expect(page.getByRole('heading', { name: 'The secret was shown already' })).toBeVisible();
      expect(await page.content()).not.toContain(secret);
      await page.getByRole('link', { name: 'To the list' }).click();
      await expect(keys.table.getByRole('rowheader')).toHaveCount(1);
      await expect(keys.row('Nightly report')).toContainText(`kf_sec_…${secret.slice(-4)}`);
    });

    await test.step('scopes are edited', async () => {
      await keys.editScopes('Nightly report').click();
      const edit = new EditScopesDialog(page);
      await edit.scope('chat').uncheck();
      await edit.save.click();
      await expect(keys.notice).toHaveText('The scopes were saved. They hold from the next call on.');
      await expect(keys.cell('Nightly report', 'Scopes')).toHaveText('inference');
      expect(await whoami(server, secret)).toMatchObject({ scopes: ['inference'] });
    });

    await test.step('taking all scopes away is refused beside the boxes', async () => {
      await keys.editScopes('Nightly report').click();
      const edit = new EditScopesDialog(page);
      await edit.scope('inference').uncheck();
      await edit.save.click();
      await expect(page.locator('#scopes-error')).toHaveText('Choose at least one scope.');
      await expect(edit.scope('inference')).not.toBeChecked();
      await edit.cancel.click();
    });

    await test.step('the key is deleted once its name is typed, for it is in use', async () => {
      // Use is counted in memory and written every few seconds.
      await expect(async () => {
        await page.goto(`${server.url}/w/vision-lab/keys`);
        await expect(keys.cell('Nightly report', 'Calls')).toHaveText(/^[1-9]/, { timeout: 500 });
      }).toPass();
      await keys.trash('Nightly report').click();
      const question = new DeleteDialog(page);
      await question.confirmation.fill('Weekly report');
      await question.remove.click();
      await expect(page.locator('#confirmation-error')).toContainText('This is not its name.');
      await question.confirmation.fill('Nightly report');
      await question.remove.click();
      await expect(keys.notice).toHaveText('The key was deleted. Its secret no longer works.');
      await expect(page.getByRole('heading', { name: 'Make your first key' })).toBeVisible();
      const caller = await server.createKey('vision-lab', 'Gateway', '--scope', 'verify');
      await expect.poll(async () => (await verify(server, caller, secret)).code).toBe('not_found');
    });

    await test.step('the theme is kept', async () => {
      await page.goto(`${server.url}/account`);
      await page.locator('main').getByRole('button', { name: 'Dark' }).click();
      await expect(page.locator('html')).toHaveAttribute('data-theme', 'dark');
      await page.reload();
      await expect(page.locator('html')).toHaveAttribute('data-theme', 'dark');
      await expect(page.locator('main').getByRole('button', { name: 'Dark' })).toHaveAttribute('aria-pressed', 'true');
    });

    await test.step('signed out, and in again', async () => {
      await page.locator('main').getByRole('button', { name: 'Sign out', exact: true }).click();
      await page.waitForURL('**/sign-in');
      const signIn = new SignInPage(page);
      await signIn.signIn(ADMIN.username, 'not the password at all');
      await expect(signIn.alert).toContainText(/wrong|do not match|not right|incorrect/i);
      await expect(signIn.login).toHaveValue(ADMIN.username);
      await signIn.signIn();
      await page.waitForURL('**/w/vision-lab/keys');
      await expect(keys.row('Gateway')).toBeVisible();
    });
  });
}

test('with script switched off, the account menu opens and signs out', async ({ openAdmin, place }) => {
  const page = await openAdmin({ javaScriptEnabled: false });
  await page.goto(place.keys);
  await page.getByRole('button', { name: /^Account:/ }).click();
  await expect(page.locator('#account-menu').getByRole('link', { name: 'Account' })).toBeVisible();
  await page.getByRole('button', { name: /^Workspace:/ }).click();
  await expect(page.locator('#workspace-menu').getByRole('link', { name: 'Acme Research' })).toBeVisible();
  await expect(page.locator('#account-menu')).toBeHidden();
});

test('with script switched off, a search, a state and an order are addresses', async ({ openAdmin, place, server }) => {
  await server.createKey(place.slug, 'Alpha');
  await server.createKey(place.slug, 'Beta');
  const page = await openAdmin({ javaScriptEnabled: false });
  const keys = new KeysPage(page);
  await page.goto(place.keys);
  await keys.search.fill('beta');
  await keys.search.press('Enter');
  await expect(keys.table.getByRole('rowheader')).toHaveText([/Beta/]);
  expect(new URL(page.url()).searchParams.get('q')).toBe('beta');
  await page.goto(place.keys);
  await keys.table.getByRole('link', { name: 'Key', exact: true }).click();
  await expect(keys.table.getByRole('rowheader')).toHaveText([/Alpha/, /Beta/]);
  await keys.state('Deleted').click();
  await expect(page.getByRole('heading', { name: 'No key matches' })).toBeVisible();
});

test('with script switched off, nothing that needs script is offered', async ({ openAdmin, place }) => {
  const page = await openAdmin({ javaScriptEnabled: false });
  await page.goto(`${place.keys}/new`);
  const form = new NewKeyDialog(page);
  await expect(form.generate).toBeVisible();
  await expect(form.dialog.getByRole('button', { name: /^Select all/ })).toHaveCount(0);
});
