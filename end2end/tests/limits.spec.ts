/** From where and how often a key may be used: set by administrators, seen by owners, in force from the next call on. */
import { Frame, visit } from '../pages/frame';
import { SignInPage } from '../pages/gates';
import { KeyPage } from '../pages/key';
import { KeysPage, NewKeyDialog, SecretDialog } from '../pages/keys';
import { KeyLimitsPanel, LimitFields } from '../pages/limits';
import { PeoplePage } from '../pages/people';
import { ADMIN, expect, test } from '../support/fixtures';
import { whoami } from '../support/keyfold';
import { examine } from '../support/looks';
import type { Server } from '../support/server';

async function makeKey(server: Server, place: { slug: string; keys: string }, name: string, more: string[] = []) {
  const secret = (await server.cli(['key', 'create', '--workspace', place.slug, '--owner', 'ada', '--name', name, '--scope', 'project', ...more])).trim();
  const id = await server.keyId(place.slug, name);
  return { secret, id, address: `${place.keys}/${id}` };
}

test('an administrator limits a key and lets it in from some addresses only', async ({ admin, place, server, guard }) => {
  guard.expect(/status of 400/);
  const { secret, address } = await makeKey(server, place, 'Edge gateway');
  await visit(admin, address);
  const [panel, key, frame] = [new KeyLimitsPanel(admin), new KeyPage(admin), new Frame(admin)];
  await expect(panel.addresses).toHaveText('Any address');
  await expect(panel.limits).toHaveText('As often as wanted');

  await test.step('limits hold from the next call on, and the page says what is left', async () => {
    await panel.changeLimits.click();
    const dialog = key.dialog('Limits');
    const fields = new LimitFields(dialog);
    await fields.fill(1, 'burst', '2', 'a minute');
    await fields.fill(2, 'daily', '1000', 'a calendar day (UTC)');
    await dialog.getByRole('button', { name: 'Save limits' }).click();
    await expect(dialog).toBeHidden();
    await expect(frame.toast).toContainText('limits saved');
    await expect(panel.changeLimits).toBeFocused();
    await expect(panel.limits).toContainText('burst 2 calls in a minute');
    expect([(await whoami(server, secret)).status, (await whoami(server, secret)).status]).toEqual([200, 200]);
    expect((await whoami(server, secret)).code).toBe('rate_limited');
    await visit(admin, address);
    await expect(panel.limits.getByRole('listitem').nth(0)).toContainText('0 left, all again in');
    await expect(panel.limits.getByRole('listitem').nth(1)).toContainText('998 left');
  });

  await test.step('what breaks a rule is said in words, and nothing typed is lost', async () => {
    await panel.changeLimits.click();
    const dialog = key.dialog('Limits');
    const fields = new LimitFields(dialog);
    await expect(fields.row(1).getByLabel('Limit name')).toHaveValue('burst');
    await fields.fill(3, 'daily', '5', 'an hour');
    await dialog.getByRole('button', { name: 'Save limits' }).click();
    await expect(fields.limitsError).toContainText('another limit named daily');
    await expect(fields.row(3).getByLabel('Calls')).toHaveValue('5');
    await admin.keyboard.press('Escape');
    await expect(dialog).toBeHidden();
  });

  await test.step('rows that are emptied are gone', async () => {
    await panel.changeLimits.click();
    const dialog = key.dialog('Limits');
    const fields = new LimitFields(dialog);
    for (const row of [1, 2]) {
      await fields.row(row).getByLabel('Limit name').fill('');
      await fields.row(row).getByLabel('Calls').fill('');
    }
    await dialog.getByRole('button', { name: 'Save limits' }).click();
    await expect(panel.limits).toHaveText('As often as wanted');
    expect((await whoami(server, secret)).status).toBe(200);
  });

  await test.step('addresses', async () => {
    await panel.changeAddresses.click();
    const dialog = key.dialog('Allowed addresses');
    const fields = new LimitFields(dialog);
    await expect(fields.addresses).toBeFocused();
    await fields.addresses.fill('203.0.113.0/24\n10.0.0.5/8');
    await dialog.getByRole('button', { name: 'Save addresses' }).click();
    await expect(fields.addressesError).toContainText('Entry 2: the address has bits behind its prefix: write 10.0.0.0/8');
    await fields.addresses.fill('203.0.113.0/24\n10.0.0.0/8');
    await dialog.getByRole('button', { name: 'Save addresses' }).click();
    await expect(dialog).toBeHidden();
    await expect(panel.addresses.getByRole('listitem')).toHaveText(['203.0.113.0/24', '10.0.0.0/8']);
    const refused = await whoami(server, secret);
    expect([refused.status, refused.code]).toEqual([403, 'ip_denied']);
  });
});

test('a new key is limited as it is made, out of the way of those who do not need it', async ({ admin, place, server }) => {
  await visit(admin, place.keys);
  await new KeysPage(admin).add.click();
  const form = new NewKeyDialog(admin);
  const fields = new LimitFields(form.dialog);
  await form.fill({ name: 'Bounded', kind: 'Secret', scopes: ['project'] });
  await expect(fields.addresses).toBeHidden();
  await form.dialog.getByText('Advanced: limits and addresses').click();
  await fields.fill(1, 'once', '1', 'any 24 hours');
  await fields.addresses.fill('here');
  await form.generate.click();
  await expect(fields.addressesError).toContainText('Entry 1: write an IPv4 or IPv6 address');
  await expect(fields.addresses).toBeFocused();
  await fields.addresses.fill('127.0.0.0/8\n::1');
  await form.generate.click();
  const shown = new SecretDialog(admin);
  const secret = await shown.read();
  await shown.finish();
  expect([(await whoami(server, secret)).code, (await whoami(server, secret)).code]).toEqual(['valid', 'quota_exceeded']);
  await new KeysPage(admin).row('Bounded').getByRole('link', { name: 'Bounded', exact: true }).click();
  const panel = new KeyLimitsPanel(admin);
  await expect(panel.limits).toContainText('once 1 call in any 24 hours');

  await test.step('and a copy of it as well', async () => {
    await new KeyPage(admin).copySettings.click();
    await expect(fields.addresses).toHaveValue('127.0.0.0/8\n::1');
    await expect(fields.row(1).getByLabel('Limit name')).toHaveValue('once');
  });
});

test('its owner sees what an administrator has set, and no way to change it', async ({ open, place, server, guard }) => {
  guard.expect(/status of 403/);
  const linus = `linus-${place.slug}`;
  await server.cli(['user', 'create', '--email', `${linus}@example.com`, '--username', linus, '--password-stdin'], ADMIN.password);
  await server.cli(['member', 'add', '--workspace', place.slug, '--user', linus, '--role', 'member']);
  const secret = (await server.cli(['key', 'create', '--workspace', place.slug, '--owner', linus, '--name', 'His', '--scope', 'project', '--limit', 'burst=5/60', '--allow-ip', '10.0.0.0/8'])).trim();
  expect(secret).toMatch(/^kf_sec_/);
  const page = await open();
  await visit(page, `${server.url}/sign-in`);
  await new SignInPage(page).signIn(linus, ADMIN.password);
  await page.waitForURL('**/keys');
  await visit(page, `${place.keys}/${await server.keyId(place.slug, 'His')}`);
  const panel = new KeyLimitsPanel(page);
  await expect(panel.addresses).toHaveText('10.0.0.0/8');
  await expect(panel.limits).toContainText('burst 5 calls in a minute');
  await expect(panel.panel.getByRole('link')).toHaveCount(0);
  await expect(new KeyPage(page).change('name and note')).toBeVisible();
  await page.goto(`${place.keys}/${await server.keyId(place.slug, 'His')}/edit/limits`);
  await expect(page.getByRole('alert')).toContainText('Only administrators of the workspace');
  await page.goto(`${place.keys}/new`);
  await expect(page.getByText('Advanced: limits and addresses')).toHaveCount(0);
});

test('without script both are forms on a page, and a refused one comes back as it was', async ({ openAdmin, place, server }) => {
  const { secret, address } = await makeKey(server, place, 'Plain');
  const page = await openAdmin({ javaScriptEnabled: false });
  const [panel, fields] = [new KeyLimitsPanel(page), new LimitFields(page)];
  await page.goto(address);
  await panel.changeLimits.click();
  await fields.fill(1, 'burst', '1', 'an hour');
  await fields.fill(2, 'Not a name', '9', 'any 7 days');
  await page.getByRole('button', { name: 'Save limits' }).click();
  await expect(fields.limitsError).toContainText('Limit 2: Use 1 to 32 of a-z');
  await expect(fields.row(2).getByLabel('Limit name')).toHaveValue('Not a name');
  await expect(fields.row(2).getByLabel('In')).toHaveValue('rolling:604800');
  await fields.row(2).getByLabel('Limit name').fill('weekly');
  await page.getByRole('button', { name: 'Save limits' }).click();
  await page.waitForURL(`${address}?done=limits`);
  await expect(page.locator('main').getByRole('status')).toContainText('The limits were saved');
  await expect(panel.limits).toContainText('weekly 9 calls in any 7 days');
  expect([(await whoami(server, secret)).code, (await whoami(server, secret)).code]).toEqual(['valid', 'rate_limited']);

  await panel.changeAddresses.click();
  await fields.addresses.fill('nowhere');
  await page.getByRole('button', { name: 'Save addresses' }).click();
  await expect(fields.addressesError).toContainText('Entry 1');
  await expect(fields.addresses).toHaveValue('nowhere');
  await fields.addresses.fill('2001:db8::/32');
  await page.getByRole('button', { name: 'Save addresses' }).click();
  await page.waitForURL(`${address}?done=addresses`);
  await expect(panel.addresses).toHaveText('2001:db8::/32');
});

test('a member is limited for all of their keys together', async ({ admin, place, server }) => {
  const one = await makeKey(server, place, 'One');
  const other = await makeKey(server, place, 'Other');
  await visit(admin, `${server.url}/w/${place.slug}/members`);
  const members = new PeoplePage(admin, 'Members');
  await members.row(ADMIN.username).getByRole('link', { name: /^Limits/ }).click();
  const fields = new LimitFields(members.dialog);
  await fields.fill(1, 'together', '2', 'a calendar month (UTC)');
  await members.dialog.getByRole('button', { name: 'Save limits' }).click();
  await expect(members.dialog).toBeHidden();
  await expect(members.row(ADMIN.username).getByText('Limits (1)')).toBeVisible();
  expect([(await whoami(server, one.secret)).code, (await whoami(server, other.secret)).code]).toEqual(['valid', 'valid']);
  expect((await whoami(server, one.secret)).code).toBe('quota_exceeded');
  await visit(admin, other.address);
  await expect(new KeyLimitsPanel(admin).limits).toContainText('with all other keys of the owner');
});

test('the dialogs of limits and addresses, in all their looks', async ({ admin, place, server }) => {
  test.setTimeout(120_000);
  const { address, secret } = await makeKey(server, place, 'Data-set sync', ['--limit', 'burst=100/60', '--limit', 'daily=5000/day', '--limit', 'odd=7/90', '--allow-ip', '203.0.113.0/24', '--allow-ip', '2001:db8::/32', '--allow-ip', '127.0.0.0/8']);
  await expect.poll(async () => (await whoami(server, secret)).code).toBe('valid');
  await visit(admin, address);
  await new KeyLimitsPanel(admin).panel.scrollIntoViewIfNeeded();
  await examine(admin, 'key-with-limits');
  for (const act of ['limits', 'addresses']) {
    await visit(admin, `${address}/edit/${act}`);
    await examine(admin, `key-${act}`);
  }
  await visit(admin, `${place.keys}/new?from=${address.split('/').at(-1) ?? ''}`);
  await examine(admin, 'new-key-advanced');
  await visit(admin, `${server.url}/w/${place.slug}/members`);
  await new PeoplePage(admin, 'Members').row(ADMIN.username).getByRole('link', { name: /^Limits/ }).click();
  await examine(admin, 'member-limits');
});
