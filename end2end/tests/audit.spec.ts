/** The audit log: read, filtered, checked, taken away; with script and without. */
import { alive, visit } from '../pages/frame';
import { AuditPage } from '../pages/governance';
import { expectAccessible } from '../support/axe';
import { expect, test } from '../support/fixtures';
import { examine } from '../support/looks';

for (const script of [true, false]) {
  test(`events are filtered, looked into and checked ${script ? 'with' : 'without'} script`, async ({ openAdmin, server, place }) => {
    const page = await openAdmin({ javaScriptEnabled: script });
    await server.createKey(place.slug, 'Nightly report');
    await server.createKey(place.slug, 'Import');
    const id = await server.keyId(place.slug, 'Import');
    await server.cli(['key', 'deactivate', '--workspace', place.slug, id]);
    const log = new AuditPage(page);
    await page.goto(`${server.url}/w/${place.slug}/audit`);
    if (script) await alive(page);
    await expect(log.rows).toHaveCount(4);
    await expect(log.rows.first()).toContainText('Key deactivated');
    if (script) await expectAccessible(page, 'the audit log');

    await log.what.selectOption('key.create');
    await log.show.click();
    await page.waitForURL(/action=key\.create/);
    await expect(log.rows).toHaveCount(2);
    await log.search.fill('nightly');
    await log.show.click();
    await expect(log.rows).toHaveCount(1);
    const row = log.rows.first();
    await row.locator('summary').click();
    await expect(row.getByRole('table', { name: 'What changed' })).toContainText('Nightly report');
    await row.getByRole('link', { name: 'Nightly report' }).click();
    await expect(page.getByRole('link', { name: /^About Nightly report/ })).toBeVisible();

    await log.what.selectOption('');
    await log.search.fill('nothing has this in it');
    await log.show.click();
    await expect(page.getByRole('heading', { name: 'No event matches' })).toBeVisible();
    await page.getByRole('link', { name: 'Show everything' }).click();
    await expect(log.rows).toHaveCount(4);

    await log.check.click();
    await expect(log.notice).toHaveText('The log is whole: 4 events checked, every link holds.');
  });
}

test('the log is taken away as JSON lines, and the taking is in it', async ({ admin: page, server, place }) => {
  const log = new AuditPage(page);
  await visit(page, `${server.url}/w/${place.slug}/audit`);
  const downloading = page.waitForEvent('download');
  await log.download.click();
  const download = await downloading;
  expect(download.suggestedFilename()).toBe(`keyfold-audit-${place.slug}.jsonl`);
  await visit(page, `${server.url}/w/${place.slug}/audit`);
  await expect(log.rows.first()).toContainText('Audit exported');
});

test('a key’s own page tells what befell it', async ({ admin: page, server, place }) => {
  await server.createKey(place.slug, 'Nightly report');
  const id = await server.keyId(place.slug, 'Nightly report');
  await visit(page, `${server.url}/w/${place.slug}/keys/${id}`);
  const recent = page.getByRole('region', { name: 'Recent events' });
  await expect(recent.getByRole('listitem')).toHaveCount(1);
  await expect(recent).toContainText('Key created');
  await recent.getByRole('link', { name: 'Show all in the audit log' }).click();
  await expect(new AuditPage(page).rows).toHaveCount(1);
});

test('the instance’s log has sign-ins and leads to that of every workspace', async ({ admin: page, server, place }) => {
  const log = new AuditPage(page);
  await visit(page, `${server.url}/system/audit`);
  await expect(log.events).toContainText('Setup complete');
  await expectAccessible(page, 'the log of the instance');
  await page.getByRole('combobox', { name: 'Log of' }).selectOption(place.slug);
  await log.show.click();
  await expect(log.rows).toHaveCount(1);
  await expect(log.rows.first()).toContainText('Workspace created');
  await log.check.click();
  await expect(log.notice).toContainText('The log is whole: 1 event');
});

test('the log in both themes and at every width', async ({ admin: page, server, place }) => {
  test.setTimeout(60_000);
  await server.createKey(place.slug, 'Nightly report');
  await server.createKey(place.slug, 'Data-set sync, Rotterdam');
  const id = await server.keyId(place.slug, 'Nightly report');
  await server.cli(['key', 'deactivate', '--workspace', place.slug, id]);
  const log = new AuditPage(page);
  await visit(page, `${server.url}/w/${place.slug}/audit`);
  await log.rows.nth(1).locator('summary').click();
  await examine(page, 'audit');
  await log.check.click();
  await expect(log.notice).toBeVisible();
  await examine(page, 'audit-checked');
  await visit(page, `${server.url}/system/audit`);
  await examine(page, 'system-audit');
});
