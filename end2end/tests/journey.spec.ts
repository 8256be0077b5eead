/** The journey of a new user, from the printed link to a key that a service has verified, deleted and forgotten. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

import type { Page } from '@playwright/test';

import { Frame, alive } from '../pages/frame';
import { SetUpPage, SignInPage } from '../pages/gates';
import { DeleteDialog, EditScopesDialog, type Kind, KeysPage, NewKeyDialog, SecretDialog } from '../pages/keys';
import { expect, test } from '../support/fixtures';
import { verify, whoami } from '../support/keyfold';

async function makeKey(page: Page, wish: { name: string; kind?: Kind; scopes: string[] }): Promise<string> {
  await new KeysPage(page).add.click();
  const form = new NewKeyDialog(page);
  await form.fill(wish);
  await form.generate.click();
  const reveal = new SecretDialog(page);
  const secret = await reveal.read();
  await reveal.finish();
  return secret;
}

test('a new user gets from the set-up link to a verified key, and it is all there after a restart', async ({ page, startServer }) => {
  test.setTimeout(90_000);
  const server = await startServer();
  const keys = new KeysPage(page);
  const form = new NewKeyDialog(page);
  const reveal = new SecretDialog(page);
  let secret = '';
  let caller = '';

  await test.step('the printed link leads to the first administrator and workspace', async () => {
    await page.goto(server.setUpLink);
    await alive(page);
    const setUp = new SetUpPage(page);
    await expect(setUp.displayName).toBeFocused();
    await setUp.fill('Vision Lab');
    await expect(setUp.workspaceSlug).toHaveValue('vision-lab');
    await setUp.submit.click();
    await page.waitForURL('**/w/vision-lab/keys');
    await expect(page.getByRole('button', { name: 'Account: Ada Lovelace' })).toBeVisible();
    await expect(page.getByRole('button', { name: 'Workspace: Vision Lab' })).toBeVisible();
  });

  await test.step('the empty list teaches', async () => {
    await expect(keys.heading).toBeVisible();
    await expect(page.getByRole('heading', { name: 'Make your first key' })).toBeVisible();
    await expect(page.getByLabel('First call')).toContainText(`curl ${server.url}/v1/whoami`);
    await expect(keys.add).toHaveCount(1);
  });

  await test.step('a key is made: name, kind, scopes, expiry', async () => {
    await keys.add.click();
    await expect(form.name).toBeFocused();
    await form.fill({ name: 'Nightly report', kind: 'Secret', scopes: ['inference'] });
    await expect(form.expires).toHaveValue('90');
    await form.expires.selectOption('30');
    await expect(form.promise).toContainText('Can make predictions in Vision Lab, until');
    await expect(form.promise).toContainText('Europe/Berlin');
    await form.generate.click();
  });

  await test.step('the secret and a line of curl are shown once, and the line works as pasted', async () => {
    secret = await reveal.read();
    const line = await reveal.firstCall.innerText();
    expect(line).toContain(secret);
    const { stdout } = await promisify(execFile)('bash', ['-c', line.replace(/^\s*curl /, 'curl --silent --show-error --write-out "\\n%{http_code}" ')]);
    const [body = '', status] = stdout.trim().split('\n');
    expect(status).toBe('200');
    expect(JSON.parse(body)).toMatchObject({ name: 'Nightly report', scopes: ['inference'] });
    await reveal.finish();
  });

  await test.step('the list shows it masked', async () => {
    await expect(keys.row('Nightly report')).toContainText(`kf_sec_…${secret.slice(-4)}`);
    await expect(keys.cell('Nightly report', 'Status')).toHaveText('Active');
    await expect(keys.cell('Nightly report', 'Scopes')).toHaveText('inference');
    expect(await page.content()).not.toContain(secret);
  });

  await test.step('whoami and verify answer for it', async () => {
    caller = await makeKey(page, { name: 'Gateway', kind: 'Management', scopes: ['verify'] });
    expect(caller).toMatch(/^kf_adm_/);
    expect(await whoami(server, secret)).toMatchObject({ status: 200, name: 'Nightly report' });
    expect(await verify(server, caller, secret, 'inference')).toMatchObject({ status: 200, valid: true, code: 'valid', scopes: ['inference'] });
    expect(await verify(server, caller, secret, 'chat')).toMatchObject({ status: 200, valid: false, code: 'missing_scope' });
  });

  await test.step('editing scopes shows what is gained and lost, and the next call obeys', async () => {
    const edit = new EditScopesDialog(page);
    await keys.editScopes('Nightly report').click();
    await expect(edit.change).toHaveText('Nothing changes yet.');
    await edit.scope('chat').check();
    await edit.scope('inference').uncheck();
    await expect(edit.part('Gains')).toHaveText('chat');
    await expect(edit.part('Loses')).toHaveText('inference');
    await edit.save.click();
    await expect(edit.dialog).toBeHidden();
    expect(await verify(server, caller, secret, 'chat')).toMatchObject({ valid: true });
    expect(await verify(server, caller, secret, 'inference')).toMatchObject({ valid: false, code: 'missing_scope' });
    await expect(keys.cell('Nightly report', 'Scopes')).toHaveText('chat');
  });

  await test.step('signed out and in again, all is there', async () => {
    await new Frame(page).signOut();
    await page.goto(`${server.url}/w/vision-lab/keys`);
    await page.waitForURL('**/sign-in?next=**');
    await alive(page);
    await new SignInPage(page).signIn();
    await page.waitForURL('**/w/vision-lab/keys');
    await expect(keys.row('Nightly report')).toContainText(`…${secret.slice(-4)}`);
    await expect(keys.row('Gateway')).toBeVisible();
  });

  await test.step('the server restarted, all is there, counts included', async () => {
    expect(await server.restart()).toBe(0);
    await page.reload();
    await alive(page);
    await expect(keys.cell('Nightly report', 'Scopes')).toHaveText('chat');
    // The line of curl, whoami, and two verdicts that let it pass.
    await expect(keys.cell('Nightly report', 'Calls')).toHaveText(/^[1-9]\d*$/);
    expect(await verify(server, caller, secret, 'chat')).toMatchObject({ valid: true });
  });

  await test.step('deleted by the trash icon, it is not found at the next call', async () => {
    await keys.trash('Nightly report').click();
    const question = new DeleteDialog(page);
    await question.confirmation.fill('Nightly report');
    await question.remove.click();
    await expect(question.dialog).toBeHidden();
    expect(await verify(server, caller, secret, 'chat')).toMatchObject({ status: 200, valid: false, code: 'not_found' });
    expect((await whoami(server, secret)).status).toBe(401);
    await expect(keys.row('Nightly report')).toHaveCount(0);
    await expect(keys.row('Gateway')).toBeVisible();
    await keys.state('Deleted').click();
    await expect(keys.cell('Nightly report', 'Status')).toHaveText('Deleted');
  });

  await test.step('and the record of it all is whole', async () => {
    expect(await server.auditEvents()).toBeGreaterThan(5);
  });
});

test('a browser on the old list finds the deleted key gone after the server restarts', async ({ page, startServer }) => {
  const server = await startServer();
  const cookie = await server.setUp({ slug: 'acme', name: 'Acme' });
  const [name = '', value = ''] = cookie.split('=');
  await page.context().addCookies([{ name, value, domain: '127.0.0.1', path: '/', httpOnly: true, secure: true, sameSite: 'Lax' }]);
  const secret = await server.createKey('acme', 'Short-lived');
  const caller = await server.createKey('acme', 'Gateway', '--scope', 'verify');
  await expect.poll(async () => (await verify(server, caller, secret)).code).toBe('valid');
  await server.cli(['key', 'delete', '--workspace', 'acme', await server.keyId('acme', 'Short-lived')]);
  await expect.poll(async () => (await verify(server, caller, secret)).code, { timeout: 1_000 }).toBe('not_found');
  await server.restart();
  expect(await verify(server, caller, secret)).toMatchObject({ code: 'not_found' });
  await page.goto(`${server.url}/`);
  await page.waitForURL('**/w/acme/keys');
  await expect(new KeysPage(page).row('Short-lived')).toHaveCount(0);
});
