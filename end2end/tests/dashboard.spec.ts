/** Administrators over everybody's keys, and acts on many keys at once, with script and without. */
import { BulkPage, DashboardPage } from '../pages/dashboard';
import { alive } from '../pages/frame';
import { KeysPage, NewKeyDialog, SecretDialog } from '../pages/keys';
import { ADMIN, type Place, expect, test } from '../support/fixtures';
import { expectAccessible } from '../support/axe';
import { whoami } from '../support/keyfold';
import type { Server } from '../support/server';

const COLUMNS = [
  'Name', 'Secret key', 'Collection', 'Created', 'Status', 'Expiry date', 'Inactivity interval', 'Last used', 'Total calls', 'Actions',
];

let people = 0;

/** A member of the place with so many keys; returns their username and the secrets. */
async function member(server: Server, place: Place, keys: string[]): Promise<{ username: string; secrets: string[] }> {
  people += 1;
  const username = `member-${process.pid}-${people}`;
  await server.cli(['user', 'create', '--email', `${username}@example.com`, '--username', username, '--password-stdin'], `${ADMIN.password}\n`);
  await server.cli(['member', 'add', '--workspace', place.slug, '--user', username, '--role', 'member']);
  const secrets: string[] = [];
  for (const name of keys) {
    const made = await server.cli(['key', 'create', '--workspace', place.slug, '--owner', username, '--name', name, '--scope', 'inference']);
    secrets.push(made.trim());
  }
  return { username, secrets };
}

test('an administrator picks a user, sees ten columns, makes a key for them and edits one', async ({ admin: page, server, place }) => {
  const { username } = await member(server, place, ['Crane telemetry']);
  const dashboard = new DashboardPage(page);

  await test.step('the list is that of one user, by name', async () => {
    await page.goto(`${server.url}/system/keys`);
    await alive(page);
    await dashboard.user.fill(username);
    await dashboard.show.click();
    await page.waitForURL(`**/system/keys?**user=${username}**`);
    await expect(dashboard.table.getByRole('row')).toHaveCount(2);
    const heads = await dashboard.table.getByRole('columnheader').allInnerTexts();
    expect(heads.map((head) => head.trim()).slice(1)).toEqual(COLUMNS);
    await expect(dashboard.cell('Crane telemetry', 'Collection')).toHaveText('All');
    await expectAccessible(page, 'the dashboard');
  });

  await test.step('a key is made for the user, and its secret shown once', async () => {
    await dashboard.add.click();
    const form = new NewKeyDialog(page);
    await form.fill({ name: 'Made for them', scopes: ['inference'] });
    await form.generate.click();
    const reveal = new SecretDialog(page);
    const secret = await reveal.read();
    await reveal.finish();
    expect((await whoami(server, secret)).status).toBe(200);
    await expect(dashboard.row('Made for them')).toContainText(`…${secret.slice(-4)}`);
  });

  await test.step('the interval is edited in a dialog with an address', async () => {
    await dashboard.act('Made for them', 'Edit inactivity interval');
    await page.waitForURL('**/system/keys/key_*/interval**');
    const dialog = page.getByRole('dialog', { name: 'Change the inactivity interval' });
    await dialog.getByLabel('If nobody uses it').selectOption('30');
    await dialog.getByRole('button', { name: 'Save' }).click();
    await expect(dashboard.cell('Made for them', 'Inactivity interval')).toHaveText('30 days');
  });
});

test('ticked keys are deleted after their number was typed, and each has its result', async ({ admin: page, guard, server, place }) => {
  // The number that was typed wrong.
  guard.expect(/status of 400/);
  const { username, secrets } = await member(server, place, ['one', 'two', 'three']);
  const dashboard = new DashboardPage(page);
  const bulk = new BulkPage(page);
  await page.goto(`${server.url}/system/keys?user=${username}`);
  await alive(page);
  await dashboard.tick('one').check();
  await dashboard.tick('two').check();
  await dashboard.delete.click();
  await expect(bulk.heading).toHaveText('Delete 2 keys?');
  await expectAccessible(page, 'before deleting many');
  await bulk.confirmation.fill('3');
  await bulk.button('Delete').click();
  await expect(page.locator('#confirmation-error')).toContainText('Type 2');
  await bulk.confirmation.fill('2');
  await bulk.button('Delete').click();
  await expect(bulk.heading).toHaveText('2 keys deleted');
  await expect(bulk.results.getByRole('row')).toHaveCount(3);
  await expectAccessible(page, 'after deleting many');
  await bulk.back.click();
  await page.goto(`${server.url}/system/keys?user=${username}`);
  await expect(dashboard.table.getByRole('row')).toHaveCount(2);
  const answers = await Promise.all(secrets.map(async (secret) => (await whoami(server, secret)).status));
  expect(answers.filter((status) => status === 200)).toHaveLength(1);
});

test('without script, ticked keys of a workspace are deactivated by plain forms, and all that match deleted', async ({ openAdmin, server, place }) => {
  const page = await openAdmin({ javaScriptEnabled: false });
  await member(server, place, ['red', 'green', 'blue']);
  const keys = new KeysPage(page);
  const bulk = new BulkPage(page);
  await page.goto(place.keys);
  await keys.row('red').getByRole('checkbox').check();
  await page.locator('.bulk-bar').getByRole('button', { name: 'Deactivate' }).click();
  await expect(bulk.heading).toHaveText('Deactivate 1 key?');
  await bulk.button('Deactivate').click();
  await expect(bulk.heading).toHaveText('1 key deactivated');
  await page.goto(`${place.keys}?state=active`);
  await page.locator('.bulk-bar').getByRole('button', { name: 'Delete' }).click();
  await expect(bulk.heading).toHaveText('Delete 2 keys?');
  await expect(bulk.names).toHaveText(['green', 'blue']);
  await bulk.confirmation.fill('2');
  await bulk.button('Delete').click();
  await expect(bulk.heading).toHaveText('2 keys deleted');
  await page.goto(place.keys);
  await expect(keys.table.getByRole('row')).toHaveCount(2);
});

test('a plain member finds no system dashboard', async ({ open, guard, server, place }) => {
  guard.expect(/status of 403/);
  const { username } = await member(server, place, []);
  const page = await open();
  await page.goto(`${server.url}/sign-in?next=${encodeURIComponent('/system/keys')}`);
  await alive(page);
  await page.getByLabel('Username').fill(username);
  await page.getByLabel('Password', { exact: true }).fill(ADMIN.password);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await expect(new DashboardPage(page).table).toHaveCount(0);
  await expect(page.getByRole('main')).toContainText(/may not|not allowed/i);
});
