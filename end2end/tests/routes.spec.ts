/** Route maps: rules made, tried, moved, replaced and put back, with script and without. */
import type { Page } from '@playwright/test';

import { Frame, visit } from '../pages/frame';
import { ImportDialog, ProposalDialog, RoutesPage, RuleDialog } from '../pages/routes';
import { expectAccessible } from '../support/axe';
import { type Place, expect, test } from '../support/fixtures';
import { press } from '../support/keyboard';
import { examine } from '../support/looks';
import type { Server } from '../support/server';

const address = (server: Server, place: Place, rest = ''): string => `${server.url}/w/${place.slug}/routes${rest}`;

async function addKey(server: Server, place: Place, name: string, ...more: string[]): Promise<void> {
  await server.cli(['key', 'create', '--workspace', place.slug, '--owner', 'ada', '--name', name, ...more]);
}

const DOCUMENT = `openapi: 3.1.0
info: { title: Shop, version: "1" }
servers: [{ url: https://shop.example/api }]
paths:
  /orders/{order_id}:
    get: { summary: Look at an order }
    delete: { summary: Cancel an order }
  /orders/open:
    get: { summary: Orders that are open }
  /a b:
    get: {}
`;

/** Loads the rules of EPIGOS AI. */
async function loadPreset(page: Page, routes: RoutesPage): Promise<void> {
  await routes.preset('EPIGOS AI').click();
  const proposal = new ProposalDialog(page);
  await expect(proposal.rules).toContainText('/predict/*/{model_id}/');
  await proposal.accept.click();
  await expect(routes.table).toContainText('/projects/{id}/**');
}

test('rules are loaded, tried, changed, moved, deleted and put back', async ({ admin, guard, place, server }) => {
  test.setTimeout(120_000);
  const routes = new RoutesPage(admin);
  const rule = new RuleDialog(admin);
  const frame = new Frame(admin);
  // The forms that are refused below.
  guard.expect(/status of 4(00|09)/);

  await test.step('the empty page teaches, and the bar of pages leads to it', async () => {
    await visit(admin, place.keys);
    await admin.getByRole('navigation', { name: 'Sections' }).getByRole('link', { name: 'Routes' }).click();
    await expect(routes.heading).toBeVisible();
    await expect(admin.getByText('No rules yet: nothing passes.')).toBeVisible();
    await expectAccessible(admin, 'no routes');
  });

  await test.step('a preset shows its rules before it holds', async () => {
    await loadPreset(admin, routes);
    await expect(frame.toast).toContainText('hold from the next request on');
    await frame.dismissToast();
    expect(await routes.paths()).toEqual(['/predict/*/{model_id}/', '/predict/**', '/projects/{id}/**', '/projects/']);
    await expect(admin.getByText('Version 1 · Preset: EPIGOS AI by ada')).toBeVisible();
    // What is below the header of a page that is scrolled is partly hidden, which counts as too small.
    await admin.evaluate(() => window.scrollTo(0, 0));
    await examine(admin, 'routes');
  });

  await test.step('a request is tried, with a key and without', async () => {
    await addKey(server, place, 'Camera', '--scope', 'inference');
    await visit(admin, address(server, place));
    const option = await routes.key.locator('option', { hasText: 'Camera' }).textContent();
    await routes.ask('POST', '/predict/detect/m1/');
    await expect(routes.answer).toContainText('Needs a key');
    await expect(routes.answer).toContainText('Rule 1 decides. Needs the scope inference, on model:m1.');
    await routes.ask('POST', '/predict/detect/m1/', option ?? '');
    await expect(routes.answer).toContainText('Passes');
    await expect(routes.row('/predict/*/{model_id}/')).toContainText('Decides');
    await routes.ask('GET', '/projects/p1/', option ?? '');
    await expect(routes.answer).toContainText('Refused');
    await expect(routes.answer).toContainText('missing_scope');
    await routes.ask('GET', '/predict/x');
    await expect(routes.answer).toContainText('No rule of the workspace');
    await expect(routes.answer).toContainText('Rule 2: The path fits, the method does not.');
    await routes.ask('GET', '/projects/%2e%2e/admin');
    await expect(routes.answer).toContainText('which servers resolve differently');
    expect(new URL(admin.url()).search).toContain('path=');
    await expectAccessible(admin, 'a request that was tried');
    await examine(admin, 'routes-tried');
  });

  await test.step('a rule is added; what is wrong is said beside its field', async () => {
    await routes.add.click();
    await expect(rule.methods).toBeFocused();
    await rule.methods.fill('get');
    await rule.path.fill('/health/{id');
    await rule.everybody.check();
    await expect(rule.scope).toBeHidden();
    await rule.submit.click();
    await expect(rule.error('path')).toContainText('Close the bracket');
    await expect(rule.path).toBeFocused();
    await rule.path.fill('/health');
    await rule.note.fill('Asked by the load balancer');
    await rule.place.fill('1');
    await examine(admin, 'routes-rule');
    await rule.submit.click();
    await expect(frame.toast).toContainText('The rule was saved');
    expect((await routes.paths())[0]).toBe('/health');
    await expect(routes.row('/health')).toContainText('Open to everybody');
    await expect(routes.row('/health')).toContainText('Asked by the load balancer');
    await expect(routes.add).toBeFocused();
  });

  await test.step('a rule is edited, and a resource must be one of the path', async () => {
    await routes.act('Edit', '/projects/').click();
    await expect(rule.keys).toBeChecked();
    await expect(rule.scope).toHaveValue('project');
    await expect(rule.resource).toHaveValue('untied');
    await rule.resource.fill('project:{id}');
    await rule.submit.click();
    await expect(rule.error('resource')).toContainText('The path has no {id}');
    await rule.resource.fill('');
    await rule.submit.click();
    await expect(rule.dialog).toHaveCount(0);
    await expect(routes.row('/projects/')).not.toContainText('tied to nothing');
  });

  await test.step('rules are moved with the keyboard', async () => {
    await press(admin, routes.move('/health', 'down'));
    await expect.poll(() => routes.paths()).toEqual(['/predict/*/{model_id}/', '/health', '/predict/**', '/projects/{id}/**', '/projects/']);
    await expect(routes.move('/health', 'down')).toBeFocused();
    await expect(routes.move('/predict/*/{model_id}/', 'up')).toBeDisabled();
  });

  await test.step('a rule is deleted', async () => {
    await routes.act('Delete', '/health').click();
    await expect(rule.dialog).toContainText('GET /health');
    await expectAccessible(admin, 'delete a rule');
    await rule.remove.click();
    await expect(routes.row('/health')).toHaveCount(0);
  });

  await test.step('a change from an old version is refused', async () => {
    await routes.act('Delete', '/projects/').click();
    await expect(rule.remove).toBeVisible();
    const other = new RoutesPage(await admin.context().newPage());
    await visit(other.page, address(server, place));
    await other.move('/predict/**', 'down').click();
    await expect.poll(() => other.paths()).toEqual(['/predict/*/{model_id}/', '/projects/{id}/**', '/predict/**', '/projects/']);
    await other.page.close();
    await rule.remove.click();
    await expect(rule.dialog).toContainText('Somebody changed these rules meanwhile');
    await admin.keyboard.press('Escape');
    await expect(rule.dialog).toHaveCount(0);
  });

  await test.step('the history puts a version back', async () => {
    await visit(admin, address(server, place));
    await routes.history.click();
    const versions = admin.getByRole('dialog').getByRole('table', { name: 'Versions, the newest first' });
    await expect(versions.getByRole('row').nth(1)).toContainText('In force');
    await expectAccessible(admin, 'the history of routes');
    await examine(admin, 'routes-history');
    await versions.getByRole('link', { name: 'Version 1', exact: true }).click();
    const proposal = new ProposalDialog(admin);
    await expect(proposal.dialog).toContainText('They take the place of all present rules (4 rules)');
    await examine(admin, 'routes-version');
    await proposal.accept.click();
    await expect(frame.toast).toContainText('Version 1 holds again');
    await expect(admin.getByText('Back to version 1')).toBeVisible();
    await expect(routes.row('/projects/')).toContainText('tied to nothing');
  });
});

test('rules are read out of a document, looked at, and put in force', async ({ admin, guard, place, server }) => {
  test.setTimeout(60_000);
  const routes = new RoutesPage(admin);
  const dialog = new ImportDialog(admin);
  guard.expect(/status of 400/);
  await visit(admin, address(server, place));
  await routes.import.click();
  await dialog.document.fill('hello');
  await dialog.show.click();
  await expect(dialog.dialog.locator('#document-error')).toContainText('cannot be read');
  await dialog.document.fill(DOCUMENT);
  await dialog.deleting.selectOption({ label: 'No rule' });
  await dialog.variable.fill('order_id');
  await dialog.kind.fill('order');
  await examine(admin, 'routes-import');
  await dialog.show.click();
  await expect(dialog.dialog).toContainText('2 rules for 2 operations.');
  await expect(dialog.dialog).toContainText('1 path cannot be rules');
  await expect(dialog.rules).toContainText('on order:{order_id}');
  await expectAccessible(admin, 'rules of a document');
  await examine(admin, 'routes-imported');
  await dialog.accept.click();
  await expect(dialog.dialog).toHaveCount(0);
  expect(await routes.paths()).toEqual(['/api/orders/open', '/api/orders/{order_id}']);
});

test('without script rules are loaded, added, moved, imported, tried and deleted', async ({ openAdmin, guard, place, server }) => {
  test.setTimeout(60_000);
  const page = await openAdmin({ javaScriptEnabled: false });
  const routes = new RoutesPage(page);
  const rule = new RuleDialog(page);
  // The forms that are refused below.
  guard.expect(/status of 400/);

  await page.goto(address(server, place));
  await routes.preset('EPIGOS AI').click();
  await new ProposalDialog(page).accept.click();
  await expect(routes.notice.first()).toContainText('These rules hold');

  await routes.add.click();
  await rule.methods.fill('GET');
  await rule.path.fill('health');
  await rule.everybody.check();
  await rule.submit.click();
  await expect(rule.error('path')).toContainText('Start the path with a slash');
  await expect(rule.everybody).toBeChecked();
  await rule.path.fill('/health');
  await rule.submit.click();
  await expect(routes.notice.first()).toContainText('The rule was saved');
  expect((await routes.paths())[4]).toBe('/health');

  await routes.move('/health', 'up').click();
  await expect.poll(async () => (await routes.paths())[3]).toBe('/health');
  await routes.ask('GET', '/health');
  await expect(routes.answer).toContainText('Rule 4 lets everybody through');

  await routes.act('Delete', '/health').click();
  await rule.remove.click();
  await expect(routes.notice.first()).toContainText('The rule was deleted');

  await routes.import.click();
  const dialog = new ImportDialog(page);
  await dialog.document.fill('hello');
  await dialog.show.click();
  await expect(dialog.dialog.locator('#document-error')).toContainText('cannot be read');
  await expect(dialog.document).toHaveValue('hello');
  await dialog.document.fill(DOCUMENT);
  await dialog.show.click();
  await expect(dialog.dialog).toContainText('3 rules for 3 operations.');
  await dialog.accept.click();
  await expect(routes.notice.first()).toContainText('These rules hold');
  expect(await routes.paths()).toEqual(['/api/orders/open', '/api/orders/{order_id}', '/api/orders/{order_id}']);
});

test('an address that names no rule, preset or version says so', async ({ admin, guard, place, server }) => {
  guard.expect(/status of 404/);
  await visit(admin, address(server, place));
  await loadPreset(admin, new RoutesPage(admin));
  for (const nowhere of ['/preset/nonsense', '/9/edit', '/0/edit', '/history/9', '/nonsense']) {
    await visit(admin, address(server, place, nowhere));
    await expect(admin.getByRole('alert').first(), nowhere).toContainText('Nothing here');
  }
});
