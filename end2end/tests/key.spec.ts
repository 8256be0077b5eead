/** One key on its own page: every setting, with script and without, and what happens when somebody else was faster. */
import { Frame, visit } from '../pages/frame';
import { KeyPage } from '../pages/key';
import { DeleteDialog, EditScopesDialog, KeysPage, NewKeyDialog, SecretDialog } from '../pages/keys';
import { expect, test } from '../support/fixtures';
import { whoami } from '../support/keyfold';
import { examine } from '../support/looks';

/** A key made at the command line; its secret and the address of its page. */
async function makeKey(server: { cli(args: string[]): Promise<string>; keyId(slug: string, name: string): Promise<string> }, place: { slug: string; keys: string }, name: string, more: string[] = []) {
  const secret = (await server.cli(['key', 'create', '--workspace', place.slug, '--owner', 'ada', '--name', name, '--scope', 'project', ...more])).trim();
  const id = await server.keyId(place.slug, name);
  return { secret, id, address: `${place.keys}/${id}` };
}

test('a key is renamed, given another end and interval, stopped, started and deleted on its page', async ({ admin, place, server, guard }) => {
  guard.expect(/status of 400/);
  const { secret, address } = await makeKey(server, place, 'Nightly report');
  await visit(admin, place.keys);
  await new KeysPage(admin).row('Nightly report').getByRole('link', { name: 'Nightly report', exact: true }).click();
  await admin.waitForURL(address);
  const key = new KeyPage(admin);
  const frame = new Frame(admin);
  await expect(key.heading).toHaveText('Nightly report');
  await expect(key.status).toHaveText('Active');

  await test.step('name and note', async () => {
    await key.change('name and note').click();
    const dialog = key.dialog('Name and note');
    await expect(dialog.getByLabel('Name', { exact: true })).toBeFocused();
    await dialog.getByLabel('Name', { exact: true }).fill('Morning report');
    await dialog.getByLabel('Note').fill('Runs at six.\nAsk Ada.');
    await dialog.getByRole('button', { name: 'Save' }).click();
    await expect(dialog).toBeHidden();
    await expect(key.heading).toHaveText('Morning report');
    await expect(key.setting('Name and note')).toContainText('Ask Ada.');
    await expect(frame.toast).toContainText('saved');
    await expect(key.change('name and note')).toBeFocused();
  });

  await test.step('the name is changed in its place: Escape leaves it, Enter saves it, and the note stays', async () => {
    await key.rename.click();
    await expect(key.newName).toBeFocused();
    await expect(key.newName).toHaveValue('Morning report');
    await key.newName.fill('Never');
    await admin.keyboard.press('Escape');
    await expect(key.heading).toHaveText('Morning report');
    await expect(key.rename).toBeFocused();
    await key.rename.press('Enter');
    await key.newName.fill('Dawn report');
    await examine(admin, 'key-rename');
    await admin.keyboard.press('Enter');
    await expect(key.heading).toHaveText('Dawn report');
    await expect(key.rename).toBeFocused();
    await expect(key.setting('Name and note')).toContainText('Ask Ada.');
  });

  await test.step('an end on a day is the end of that day where the viewer is', async () => {
    await key.change('expires').click();
    const dialog = key.dialog('Change the expiry date');
    await dialog.getByLabel('Expires').selectOption('date');
    await dialog.getByLabel('Last day').fill('2027-03-28');
    await dialog.getByRole('button', { name: 'Save' }).click();
    await expect(dialog).toBeHidden();
    // The day on which the clocks of the viewer's zone go forward.
    await expect(key.setting('Expires').locator('time')).toHaveAttribute('datetime', '2027-03-28T21:59:59Z');
    await expect(key.setting('Expires')).toContainText('28 Mar 2027, 23:59');
  });

  await test.step('what breaks a rule is said beside the field, and nothing is lost', async () => {
    await key.change('expires').click();
    const dialog = key.dialog('Change the expiry date');
    await dialog.getByLabel('Last day').fill('');
    await dialog.getByRole('button', { name: 'Save' }).click();
    await expect(dialog.locator('#expires_on-error')).toContainText('Choose the last day');
    await expect(dialog.getByLabel('Expires')).toHaveValue('date');
    await admin.keyboard.press('Escape');
    await expect(dialog).toBeHidden();
  });

  await test.step('an interval of its own', async () => {
    await key.change('if nobody uses it').click();
    const dialog = key.dialog('Change the inactivity interval');
    await dialog.getByLabel('If nobody uses it').selectOption('custom');
    await dialog.getByLabel('Days without use').fill('45');
    await dialog.getByRole('button', { name: 'Save' }).click();
    await expect(key.setting('If nobody uses it')).toHaveText('Stops after 45 days without use');
  });

  await test.step('scopes', async () => {
    await key.change('scopes').click();
    const edit = new EditScopesDialog(admin);
    await edit.scope('project').uncheck();
    await edit.scope('chat').check();
    await edit.save.click();
    await expect(edit.dialog).toBeHidden();
    await expect(admin).toHaveURL(address);
    await expect(key.setting('Scopes')).toHaveText('chat');
  });

  await test.step('deactivated, with a reason, it is refused at the next call', async () => {
    await key.deactivate.click();
    const dialog = key.dialog('Deactivate this key?');
    await dialog.getByLabel('Reason').fill('Found in a log');
    await dialog.getByRole('button', { name: 'Deactivate' }).click();
    await expect(dialog).toBeHidden();
    await expect(key.status).toHaveText('Deactivated');
    await expect(key.banner('Found in a log')).toContainText('by ada');
    expect((await whoami(server, secret)).code).toBe('deactivated');
  });

  await test.step('activated, it works again with the same secret', async () => {
    await key.activate.click();
    await key.dialog('Activate this key?').getByRole('button', { name: 'Activate' }).click();
    await expect(key.status).toHaveText('Active');
    expect((await whoami(server, secret)).status).toBe(200);
  });

  await test.step('deleted, its record stays and says when and by whom', async () => {
    await key.remove.click();
    const dialog = new DeleteDialog(admin);
    await dialog.confirmation.fill('Dawn report');
    await dialog.remove.click();
    await expect(dialog.dialog).toBeHidden();
    await expect(key.status).toHaveText('Deleted');
    await expect(key.banner('Deleted')).toContainText('by ada');
    await expect(key.deactivate).toHaveCount(0);
    expect((await whoami(server, secret)).code).toBe('not_found');
  });
});

test('a new key starts with the settings of another', async ({ admin, place, server }) => {
  const { address } = await makeKey(server, place, 'First', ['--scope', 'chat', '--inactivity-days', '45', '--note', 'Two of a kind']);
  await visit(admin, address);
  await new KeyPage(admin).copySettings.click();
  const form = new NewKeyDialog(admin);
  await expect(form.name).toHaveValue('');
  for (const scope of ['project', 'chat']) await expect(form.scope(scope)).toBeChecked();
  await expect(form.scope('inference')).not.toBeChecked();
  await expect(form.idle).toHaveValue('custom');
  await expect(form.dialog.getByLabel('Days without use')).toHaveValue('45');
  await form.name.fill('Second');
  await form.generate.click();
  const shown = new SecretDialog(admin);
  const secret = await shown.read();
  await shown.finish();
  expect((await whoami(server, secret)).status).toBe(200);
  await new KeysPage(admin).row('Second').getByRole('link', { name: 'Second', exact: true }).click();
  await expect(new KeyPage(admin).setting('Scopes')).toContainText('project');
  await expect(new KeyPage(admin).setting('If nobody uses it')).toContainText('45 days');
});

test('without script, every setting is a form on a page, and leads back to the key', async ({ openAdmin, place, server }) => {
  const { secret, address } = await makeKey(server, place, 'Plain');
  const page = await openAdmin({ javaScriptEnabled: false });
  const key = new KeyPage(page);
  await page.goto(address);
  await key.change('name and note').click();
  await page.getByLabel('Name', { exact: true }).fill('Plainer');
  await page.getByRole('button', { name: 'Save' }).click();
  await page.waitForURL(`${address}?done=name`);
  await expect(key.heading).toHaveText('Plainer');
  await expect(page.locator('main').getByRole('status')).toContainText('were saved');

  await key.change('expires').click();
  await page.getByLabel('Expires').selectOption('date');
  await page.getByLabel('Last day').fill('');
  await page.getByRole('button', { name: 'Save' }).click();
  await expect(page.locator('#expires_on-error')).toContainText('Choose the last day');
  await expect(page.getByLabel('Expires')).toHaveValue('date');
  await page.getByLabel('Last day').fill('2030-06-30');
  await page.getByRole('button', { name: 'Save' }).click();
  await page.waitForURL(`${address}?done=expiry`);
  await expect(key.setting('Expires').locator('time')).toHaveAttribute('datetime', '2030-06-30T23:59:59Z');

  await key.change('if nobody uses it').click();
  await page.getByLabel('If nobody uses it').selectOption('60');
  await page.getByRole('button', { name: 'Save' }).click();
  await page.waitForURL(`${address}?done=interval`);

  await key.deactivate.click();
  await page.getByLabel('Reason').fill('A test');
  await page.getByRole('button', { name: 'Deactivate' }).click();
  await page.waitForURL(`${address}?done=deactivated`);
  expect((await whoami(server, secret)).code).toBe('deactivated');
  await key.activate.click();
  await page.getByRole('button', { name: 'Activate' }).click();
  await page.waitForURL(`${address}?done=activated`);
  expect((await whoami(server, secret)).status).toBe(200);
});

test('who comes second is told, loses nothing that was saved, and can go on from there', async ({ admin, openAdmin, place, server, guard }) => {
  const { address } = await makeKey(server, place, 'Contested');
  guard.expect(/status of 409/);
  const [key, other] = [new KeyPage(admin), new KeyPage(await openAdmin())];
  await visit(admin, `${address}/edit/interval`);
  await visit(other.page, `${address}/edit/name`);
  await other.dialog('Name and note').getByLabel('Name', { exact: true }).fill('Renamed meanwhile');
  await other.dialog('Name and note').getByRole('button', { name: 'Save' }).click();
  await expect(other.heading).toHaveText('Renamed meanwhile');

  const dialog = key.dialog('Change the inactivity interval');
  await dialog.getByLabel('If nobody uses it').selectOption('30');
  await dialog.getByRole('button', { name: 'Save' }).click();
  await expect(dialog.getByRole('alert')).toContainText('Somebody changed this key meanwhile. Nothing was saved.');
  await dialog.getByRole('link', { name: 'Load its present settings' }).click();
  await expect(key.heading).toHaveText('Renamed meanwhile');
  await key.dialog('Change the inactivity interval').getByLabel('If nobody uses it').selectOption('30');
  await key.dialog('Change the inactivity interval').getByRole('button', { name: 'Save' }).click();
  await expect(key.setting('If nobody uses it')).toHaveText('Stops after 30 days without use');
});

test('a key that ends soon says so on its page and in the list', async ({ admin, place, server }) => {
  const { address } = await makeKey(server, place, 'Soon over', ['--expires-in', '6 days']);
  await visit(admin, address);
  await expect(new KeyPage(admin).banner('Ends in 5 days')).toBeVisible();
});

test('the page of a key and its dialogs, in all their looks', async ({ admin, place, server }) => {
  test.setTimeout(90_000);
  const { address } = await makeKey(server, place, 'Data-set sync, Rotterdam', ['--scope', 'chat', '--expires-in', '9 days', '--inactivity-days', '60', '--note', 'Belongs to the team in Rotterdam.\nRuns every night.']);
  await visit(admin, address);
  await examine(admin, 'key', { forDocs: true });
  for (const act of ['name', 'expiry', 'interval', 'deactivate']) {
    await visit(admin, `${address}/edit/${act}`);
    await examine(admin, `key-${act}`);
  }
});
