/** What the list of keys can be narrowed to, and that acts on all that match stay within it. */
import { BulkPage } from '../pages/dashboard';
import { FilterDialog, KeysPage } from '../pages/keys';
import { alive } from '../pages/frame';
import { expectAccessible } from '../support/axe';
import { ADMIN, type Place, expect, test } from '../support/fixtures';
import type { Server } from '../support/server';

/** Keys that differ in what they may do, what they are tied to and when they end. */
async function fill(server: Server, place: Place): Promise<void> {
  await server.cli(['resource', 'create', '--workspace', place.slug, '--kind', 'collection', '--id', 'contracts', '--name', 'Contracts', '--owner', ADMIN.username]);
  const make = (name: string, ...more: string[]) =>
    server.cli(['key', 'create', '--workspace', place.slug, '--owner', ADMIN.username, '--name', name, ...more]);
  await make('Chat with contracts', '--scope', 'chat', '--resource', 'collection:contracts');
  await make('Crane camera', '--scope', 'inference', '--expires-in', '5 days');
  await make('Night batch', '--scope', 'inference', '--expires-in', '60 days');
}

test('the list is narrowed in a dialog, says so in words, and the address holds it', async ({ admin: page, server, place }) => {
  await fill(server, place);
  const keys = new KeysPage(page);
  const dialog = new FilterDialog(page);
  await page.goto(place.keys);
  await alive(page);

  await test.step('two choices together', async () => {
    await keys.filter.click();
    await page.waitForURL('**/keys/filter');
    await expectAccessible(page, 'the filter');
    await dialog.pick('Scope').selectOption('inference');
    await dialog.pick('Expires').selectOption({ label: 'Within 7 days' });
    await dialog.show.click();
    await page.waitForURL(`${place.keys}?scope=inference&expiring=7`);
    await expect(keys.table.getByRole('row')).toHaveCount(2);
    await expect(keys.row('Crane camera')).toBeVisible();
    await expect(keys.narrowed).toContainText('Only keys that hold the scope inference, that expire within 7 days.');
    await expectAccessible(page, 'a narrowed list');
  });

  await test.step('the dialog knows what was chosen, and a reload forgets nothing', async () => {
    await page.reload();
    await alive(page);
    await keys.filter.click();
    await expect(dialog.pick('Scope')).toHaveValue('inference');
    await expect(dialog.pick('Expires')).toHaveValue('7');
    await dialog.reset.click();
    await page.waitForURL(place.keys);
    await expect(keys.table.getByRole('row')).toHaveCount(4);
  });

  await test.step('what a key is tied to', async () => {
    await keys.filter.click();
    await dialog.pick('Resource').selectOption({ label: 'Contracts' });
    await dialog.show.click();
    await expect(keys.narrowed).toContainText('tied to Contracts');
    await expect(keys.table.getByRole('row')).toHaveCount(2);
    await expect(keys.row('Chat with contracts')).toBeVisible();
    await keys.narrowed.getByRole('link', { name: 'Show all' }).click();
    await expect(keys.table.getByRole('row')).toHaveCount(4);
  });
});

test('without script, an act on all that match leaves the others alone', async ({ openAdmin, server, place }) => {
  await fill(server, place);
  const page = await openAdmin({ javaScriptEnabled: false });
  const keys = new KeysPage(page);
  const dialog = new FilterDialog(page);
  const bulk = new BulkPage(page);
  await page.goto(place.keys);
  await keys.filter.click();
  await dialog.pick('Scope').selectOption('inference');
  await dialog.pick('Used').selectOption({ label: 'Never used' });
  await dialog.show.click();
  await expect(page).toHaveURL(/scope=inference/);
  await expect(page).toHaveURL(/idle=never/);
  await expect(keys.table.getByRole('row')).toHaveCount(3);
  await page.locator('.bulk-bar').getByRole('button', { name: 'Deactivate' }).click();
  await expect(bulk.heading).toHaveText('Deactivate 2 keys?');
  await expect(bulk.names).toHaveText(['Crane camera', 'Night batch']);
  await bulk.button('Deactivate').click();
  await expect(bulk.heading).toHaveText('2 keys deactivated');
  await page.goto(`${place.keys}?state=active`);
  await expect(keys.table.getByRole('row')).toHaveCount(2);
  await expect(keys.row('Chat with contracts')).toBeVisible();
});
