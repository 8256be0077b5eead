/** Rotation on a key's page: a new secret, who still uses the old one, its end; and what the key is used for. */
import type { Page } from '@playwright/test';

import { Frame, alive, visit } from '../pages/frame';
import { SecretDialog } from '../pages/keys';
import { KeyUse, RotateDialog } from '../pages/rotation';
import { type Place, expect, test } from '../support/fixtures';
import { json, request } from '../support/http';
import { verify, whoami } from '../support/keyfold';
import { examine } from '../support/looks';
import type { Server } from '../support/server';

/** A key made at the command line; its secret and the address of its page. */
async function makeKey(server: Server, place: Place, name: string, more: string[] = ['--scope', 'project', '--scope', 'chat']) {
  const secret = (await server.cli(['key', 'create', '--workspace', place.slug, '--owner', 'ada', '--name', name, ...more])).trim();
  const id = await server.keyId(place.slug, name);
  await expect.poll(async () => (await whoami(server, secret)).status).toBe(200);
  return { secret, id, address: `${place.keys}/${id}` };
}

/** A use of the key by a program with that name. */
async function use(server: Server, secret: string, program: string): Promise<number> {
  const { status } = await json(`http://127.0.0.1:${server.port}/v1/whoami`, { headers: { authorization: `Bearer ${secret}`, 'user-agent': program } });
  return status;
}

async function rotate(page: Page, grace?: Parameters<RotateDialog['grace']>[0]): Promise<string> {
  await new KeyUse(page).rotate.click();
  const dialog = new RotateDialog(page);
  if (grace) await dialog.grace(grace).check();
  await dialog.submit.click();
  const reveal = new SecretDialog(page);
  const secret = await reveal.read();
  await reveal.finish();
  return secret;
}

test('a key is rotated, its old secret watched until nobody uses it, and ended', async ({ admin, place, server }) => {
  const { secret: first, address } = await makeKey(server, place, 'Nightly report');
  await visit(admin, address);
  const page = new KeyUse(admin);
  await expect(page.secret(first)).toContainText('Current');

  await test.step('the dialog says what hangs on the old secret, and offers 24 hours', async () => {
    await page.rotate.click();
    const dialog = new RotateDialog(admin);
    await expect(dialog.dialog).toContainText(`…${first.slice(-4)}`);
    await expect(dialog.dialog).toContainText(/\d+ calls? so far/);
    await expect(dialog.grace('Works 24 more hours')).toBeChecked();
    await admin.keyboard.press('Escape');
    await expect(dialog.dialog).toBeHidden();
    await expect(page.rotate).toBeFocused();
  });

  let second = '';
  await test.step('the new secret is shown once, and both work', async () => {
    second = await rotate(admin, 'Works 7 more days');
    expect(second).not.toBe(first);
    await expect(page.secret(second)).toContainText('Current');
    await expect(page.secret(first)).toContainText('Still works');
    expect(await admin.content()).not.toContain(second);
    expect([(await whoami(server, first)).status, (await whoami(server, second)).status]).toEqual([200, 200]);
  });

  await test.step('who still uses the old one is named', async () => {
    expect(await use(server, first, 'cron-job/7')).toBe(200);
    await admin.reload();
    await alive(admin);
    await expect(page.secret(first).getByRole('row', { name: /cron-job\/7/ })).toContainText('127.0.0.1');
    await expect(page.secret(second)).not.toContainText('cron-job');
  });

  await test.step('ended, it is refused at the next call', async () => {
    await page.endNow(first).click();
    await expect(new Frame(admin).toast).toContainText('works no more');
    await expect(page.endNow(first)).toHaveCount(0);
    await page.secrets.getByText('1 secret that ended').click();
    await expect(page.secret(first)).toContainText('Ended');
    expect((await whoami(server, first)).code).toBe('not_found');
    expect((await whoami(server, second)).status).toBe(200);
  });

  await test.step('and by the keyboard alone, at once', async () => {
    await page.rotate.focus();
    await admin.keyboard.press('Enter');
    const dialog = new RotateDialog(admin);
    await expect(dialog.grace('Works 24 more hours')).toBeFocused();
    for (let press = 0; press < 2; press += 1) await admin.keyboard.press('ArrowUp');
    await expect(dialog.grace('Stops now')).toBeChecked();
    await admin.keyboard.press('Enter');
    const reveal = new SecretDialog(admin);
    const third = await reveal.read();
    await reveal.finish();
    expect((await whoami(server, second)).code).toBe('not_found');
    expect((await whoami(server, third)).status).toBe(200);
  });
});

test('what a key is used for is drawn, listed and saved, and a key that holds too much is narrowed', async ({ admin, place, server }) => {
  const { secret, id, address } = await makeKey(server, place, 'Broad');
  const caller = (await makeKey(server, place, 'Gateway', ['--scope', 'verify'])).secret;
  for (let call = 0; call < 3; call += 1) expect((await verify(server, caller, secret, 'inference')).code).toBe('valid');
  expect((await verify(server, caller, secret, 'keys:write')).code).toBe('missing_scope');
  await visit(admin, address);
  const page = new KeyUse(admin);
  await expect(page.usage).toContainText('4 calls and 1 denial in the last 30 days.');
  await expect(page.chart).toHaveAccessibleName(/4 calls and 1 denial/);
  await expect(page.usage.getByRole('list', { name: 'Why calls were denied' })).toHaveText('Scope missing 1');
  await page.usage.getByText('By day, as a table').click();
  await expect(page.usage.getByRole('table', { name: 'Calls and denials by day, UTC' }).getByRole('row').nth(1)).toContainText(/4\s*1$/);
  await expect(page.usage.getByRole('table', { name: 'Calls by weekday and hour (UTC)' })).toBeVisible();
  const download = admin.waitForEvent('download');
  await page.csv.click();
  expect((await download).suggestedFilename()).toBe(`${id}-usage.csv`);

  await expect(page.evidence).toContainText('Holds 2 scopes, used 1 in the last 90 days.');
  await expect(page.evidence.getByRole('row', { name: /inference/ })).toContainText('comes with another');
  // A key of today is too young for advice.
  await expect(page.narrow).toHaveCount(0);
});

test('two people rotate at once: the second is told, and nothing is lost', async ({ admin, openAdmin, place, server, guard }) => {
  guard.expect(/status of 409/);
  const { secret, address } = await makeKey(server, place, 'Shared');
  const other = await openAdmin();
  for (const page of [admin, other]) {
    await visit(page, `${address}/edit/rotate`);
  }
  await new RotateDialog(admin).submit.click();
  const reveal = new SecretDialog(admin);
  const second = await reveal.read();
  await reveal.finish();
  await new RotateDialog(other).submit.click();
  await expect(new RotateDialog(other).alert).toContainText('Somebody changed or rotated this key meanwhile.');
  expect([(await whoami(server, secret)).status, (await whoami(server, second)).status]).toEqual([200, 200]);
});

test('without script a key is rotated, the form sent again shows no secret, and the old secret is ended', async ({ openAdmin, place, server }) => {
  const { secret: first, address } = await makeKey(server, place, 'Plain');
  const page = await openAdmin({ javaScriptEnabled: false });
  await page.goto(address);
  await new KeyUse(page).rotate.click();
  await new RotateDialog(page).grace('Works 7 more days').check();
  await new RotateDialog(page).submit.click();
  await expect(page.getByRole('heading', { name: 'Copy your new key' })).toBeVisible();
  const second = (await page.locator('#secret').innerText()).trim();
  expect(page.url()).not.toContain(second);
  expect([(await whoami(server, first)).status, (await whoami(server, second)).status]).toEqual([200, 200]);

  await page.reload();
  await expect(page.getByRole('heading', { name: 'The new secret was shown already' })).toBeVisible();
  expect(await page.content()).not.toContain(second);
  expect((await whoami(server, second)).status).toBe(200);

  await page.getByRole('link', { name: 'To the key' }).click();
  await expect(new KeyUse(page).secret(second)).toContainText('Current');
  await new KeyUse(page).endNow(first).click();
  await expect(page.getByRole('status').filter({ hasText: 'The old secret was ended.' })).toBeVisible();
  expect((await whoami(server, first)).code).toBe('not_found');

  // Somebody who comes back to the form's own address finds the form.
  await page.goto(`${address}/rotate`);
  await expect(new RotateDialog(page).dialog).toBeVisible();
});

test('the panels and the dialog look as they should, wide and narrow, in both themes', async ({ admin, place, server }) => {
  test.setTimeout(120_000);
  const { secret, id, address } = await makeKey(server, place, 'Looks');
  const caller = (await makeKey(server, place, 'Gateway', ['--scope', 'verify'])).secret;
  await visit(admin, address);
  await examine(admin, 'key-use-new');
  for (let call = 0; call < 12; call += 1) await verify(server, caller, secret, call % 4 === 0 ? 'keys:write' : 'inference');
  await server.cli(['key', 'rotate', '--workspace', place.slug, '--grace', '7d', id]);
  await expect.poll(async () => {
    await use(server, secret, 'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36');
    const answer = await request(`${address}/secrets`.replace('/w/', '/v1/workspaces/'), { headers: { cookie: (await admin.context().cookies()).map(({ name, value }) => `${name}=${value}`).join('; ') } });
    return answer.text.includes('Chrome/156');
  }).toBe(true);
  await use(server, secret, 'curl/8.5.0');
  await admin.reload();
  await alive(admin);
  await examine(admin, 'key-use');
  await visit(admin, `${address}/edit/rotate`);
  await examine(admin, 'rotate');
});
