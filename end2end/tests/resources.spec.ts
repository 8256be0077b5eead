/** Resources and scopes: their pages, and what they make of keys. */
import type { Page } from '@playwright/test';

import { Frame, alive, visit } from '../pages/frame';
import { KeysPage, NewKeyDialog, SecretDialog } from '../pages/keys';
import { ResourceChoice, ResourceDialog, ResourcesPage, ScopeDialog, ScopesPage } from '../pages/places';
import { expectAccessible } from '../support/axe';
import { type Place, expect, test } from '../support/fixtures';
import { json } from '../support/http';
import { examine } from '../support/looks';
import type { Server } from '../support/server';

async function addResource(server: Server, place: Place, id: string, name: string, kind = 'collection'): Promise<void> {
  await server.cli(['resource', 'create', '--workspace', place.slug, '--kind', kind, '--id', id, '--name', name, '--owner', 'ada']);
}

/** The secret of a key that the command line makes. */
async function makeKey(server: Server, place: Place, name: string, more: string[]): Promise<string> {
  return (await server.cli(['key', 'create', '--workspace', place.slug, '--owner', 'ada', '--name', name, ...more])).trim();
}

/** The key with which each place asks about others. */
const askers = new Map<string, Promise<string>>();

function askerOf(server: Server, place: Place): Promise<string> {
  const made = askers.get(place.slug) ?? makeKey(server, place, 'asker', ['--scope', 'verify']);
  askers.set(place.slug, made);
  return made;
}

/** What verify says of a key on that resource. What the command line has made holds in the server within a second. */
async function verdict(server: Server, place: Place, key: string, question: { scope?: string; resource?: string }): Promise<string> {
  const caller = await askerOf(server, place);
  let code = '';
  await expect(async () => {
    const { status, body } = await json<{ code: string }>(`http://127.0.0.1:${server.port}/v1/verify`, {
      method: 'POST',
      headers: { authorization: `Bearer ${caller}` },
      send: { key, ...question },
    });
    expect(status).toBe(200);
    code = body.code;
  }).toPass({ timeout: 5_000 });
  return code;
}

const address = (server: Server, place: Place, page: string): string => `${server.url}/w/${place.slug}/${page}`;

async function readSecret(page: Page): Promise<string> {
  const reveal = new SecretDialog(page);
  const secret = await reveal.read();
  await reveal.finish();
  return secret;
}

test('a resource is added, a key is tied to it, and the key stops with it', async ({ admin, guard, place, server }) => {
  test.setTimeout(90_000);
  const resources = new ResourcesPage(admin);
  const form = new ResourceDialog(admin);
  const frame = new Frame(admin);
  let secret = '';
  // The forms that are refused below.
  guard.expect(/status of 4(00|09)/);

  await test.step('the empty page teaches, and the bar of pages leads to it', async () => {
    await visit(admin, place.keys);
    await admin.getByRole('navigation', { name: 'Sections' }).getByRole('link', { name: 'Resources' }).click();
    await expect(resources.heading).toBeVisible();
    await expect(admin.getByRole('heading', { name: 'Add your first resource' })).toBeVisible();
    await expectAccessible(admin, 'no resources');
  });

  await test.step('one is added; a wrong kind is refused beside its field', async () => {
    await resources.add.click();
    await expect(form.id).toBeFocused();
    await form.fill('Collection', 'contracts', 'Contracts');
    await form.add.click();
    await expect(admin.locator('#kind-error')).toContainText('Use one lower-case word');
    await expect(form.kind).toBeFocused();
    await form.kind.fill('collection');
    await form.add.click();
    await expect(frame.toast).toContainText('Contracts was added');
    await expect(resources.row('Contracts')).toContainText('contracts');
    await expect(resources.add).toBeFocused();
  });

  await test.step('a second of that name is refused, and Escape leads back', async () => {
    await resources.add.click();
    await form.fill('collection', 'contracts');
    await form.add.click();
    await expect(admin.locator('#external_id-error')).toContainText('There is a collection contracts already');
    await admin.keyboard.press('Escape');
    await expect(form.dialog).toHaveCount(0);
    await expect(resources.add).toBeFocused();
  });

  await test.step('a new key is tied to it, and the sentence says so', async () => {
    await addResource(server, place, 'invoices', 'Invoices');
    await visit(admin, `${place.keys}/new`);
    const key = new NewKeyDialog(admin);
    const choice = new ResourceChoice(key.dialog);
    await key.fill({ name: 'Reader', scopes: ['chat'] });
    await expect(choice.box('Contracts')).toBeHidden();
    await choice.some.check();
    await expect(key.promise).toContainText('on nothing yet');
    await key.generate.click();
    await expect(choice.error).toContainText('Tick at least one resource');
    await choice.box('Contracts').check();
    await expect(key.promise).toContainText('Can talk with a collection or source in Vision Lab, on Contracts, until');
    await key.generate.click();
    secret = await readSecret(admin);
    await expect(new KeysPage(admin).cell('Reader', 'Resource')).toHaveText('Contracts');
    expect(await verdict(server, place, secret, { scope: 'chat', resource: 'collection:contracts' })).toBe('valid');
    expect(await verdict(server, place, secret, { scope: 'chat', resource: 'collection:invoices' })).toBe('wrong_resource');
  });

  await test.step('its resources are edited on its own page', async () => {
    await new KeysPage(admin).row('Reader').getByRole('link', { name: 'Reader', exact: true }).click();
    await admin.getByRole('link', { name: 'Change resources' }).click();
    const dialog = admin.getByRole('dialog', { name: 'Edit resources' });
    const choice = new ResourceChoice(dialog);
    await expect(choice.box('Contracts')).toBeChecked();
    await choice.box('Invoices').check();
    await dialog.getByRole('button', { name: 'Save resources' }).click();
    await expect(frame.toast).toContainText('resources saved');
    await expect(admin.getByRole('link', { name: 'Change resources' })).toBeFocused();
    expect(await verdict(server, place, secret, { scope: 'chat', resource: 'collection:invoices' })).toBe('valid');
    await admin.getByRole('link', { name: 'Change resources' }).click();
    await choice.box('Invoices').uncheck();
    await dialog.getByRole('button', { name: 'Save resources' }).click();
    await expect(dialog).toHaveCount(0);
  });

  await test.step('the list leads to the keys that are tied to it, and is searched', async () => {
    await visit(admin, address(server, place, 'resources'));
    await resources.search.fill('inv');
    await resources.show.click();
    await expect(resources.row('Invoices')).toBeVisible();
    await expect(resources.row('Contracts')).toHaveCount(0);
    expect(new URL(admin.url()).search).toContain('q=inv');
    await visit(admin, address(server, place, 'resources'));
    await resources.row('Contracts').getByRole('link', { name: '1 keys tied to Contracts' }).click();
    await expect(new KeysPage(admin).row('Reader')).toBeVisible();
    await expect(new KeysPage(admin).row('asker')).toHaveCount(0);
  });

  await test.step('deleting it names the key that stops, and the key says why it stopped', async () => {
    await visit(admin, address(server, place, 'resources'));
    await resources.trash('Contracts').click();
    await expect(form.dialog).toContainText('1 key is tied to it: Reader');
    await expect(form.dialog).toContainText('stops working with this one');
    await expect(form.dialog.getByRole('link', { name: 'Keep resource' })).toBeFocused();
    await form.remove.click();
    await expect(frame.toast).toContainText('Contracts was deleted');
    await expect(resources.row('Contracts')).toHaveCount(0);
    for (const resource of ['collection:contracts', 'collection:invoices', undefined]) {
      expect(await verdict(server, place, secret, resource ? { scope: 'chat', resource } : { scope: 'chat' })).toBe('wrong_resource');
    }
    await visit(admin, place.keys);
    await new KeysPage(admin).row('Reader').getByRole('link', { name: 'Reader', exact: true }).click();
    await expect(admin.locator('main')).toContainText('Tied to nothing that is left');
    await expect(admin.locator('main')).toContainText('Contracts (deleted)');
  });
});

test('a scope of the workspace is added, held by a key, changed and deleted', async ({ admin, guard, place, server }) => {
  test.setTimeout(90_000);
  const scopes = new ScopesPage(admin);
  const form = new ScopeDialog(admin);
  const frame = new Frame(admin);
  let secret = '';
  guard.expect(/status of 4(00|09)/);

  await test.step('built-in scopes are there and cannot be changed', async () => {
    await visit(admin, address(server, place, 'scopes'));
    await expect(scopes.heading).toBeVisible();
    await expect(scopes.row('keys:write')).toContainText('keys:read');
    await expect(scopes.row('keys:write').getByRole('link')).toHaveCount(0);
    await expect(admin.getByText('None yet.')).toBeVisible();
  });

  await test.step('one is added; a wrong name and a wrong inclusion are refused', async () => {
    await scopes.add.click();
    await expect(form.name).toBeFocused();
    await form.name.fill('Reports');
    await form.add.click();
    await expect(admin.locator('#name-error')).toContainText('lower-case letters');
    await form.name.fill('reports:read');
    await form.description.fill('Read reports.');
    await form.includes('chat').check();
    await form.public.check();
    await form.add.click();
    await expect(admin.locator('#implies-error')).toContainText('chat is not public');
    await form.public.uncheck();
    await form.add.click();
    await expect(frame.toast).toContainText('reports:read was added');
    await expect(scopes.own.getByRole('row').filter({ hasText: 'reports:read' })).toContainText('chat');
  });

  await test.step('a new key holds it, in a group of its own', async () => {
    await visit(admin, `${place.keys}/new`);
    const key = new NewKeyDialog(admin);
    await expect(key.dialog.locator('.scopes-group').filter({ hasText: 'Scopes of this workspace' })).toContainText('Includes chat.');
    await key.fill({ name: 'Reporter', scopes: ['reports:read', 'inference'] });
    await expect(key.promise).toContainText('Can make predictions and use reports:read in Vision Lab');
    await key.generate.click();
    secret = await readSecret(admin);
    expect(await verdict(server, place, secret, { scope: 'chat' })).toBe('valid');
  });

  await test.step('what it includes is changed, and holds at the next question', async () => {
    await visit(admin, address(server, place, 'scopes'));
    await scopes.edit('reports:read').click();
    await expect(form.dialog).toContainText('1 key holds it: Reporter');
    await form.includes('chat').uncheck();
    await form.save.click();
    await expect(frame.toast).toContainText('reports:read was saved');
    await expect(scopes.edit('reports:read')).toBeFocused();
    expect(await verdict(server, place, secret, { scope: 'chat' })).toBe('missing_scope');
  });

  await test.step('a key that holds nothing else is in the way of its end', async () => {
    await makeKey(server, place, 'Only that', ['--scope', 'reports:read']);
    await scopes.trash('reports:read').click();
    await expect(form.dialog).toContainText('2 keys hold it: Only that and Reporter');
    await expect(form.dialog).toContainText('would be left without a scope');
    await expect(form.dialog.getByRole('button')).toHaveCount(0);
    await form.dialog.getByRole('link', { name: 'Back' }).click();
    const id = (await server.keys(place.slug)).find((key) => key.name === 'Only that')?.id ?? '';
    await server.cli(['key', 'delete', '--workspace', place.slug, id]);
  });

  await test.step('then it is taken out of the key that has others', async () => {
    await visit(admin, address(server, place, 'scopes/reports:read/delete'));
    await expect(form.dialog).toContainText('1 key holds it: Reporter');
    await form.removeFromKeys.click();
    await expect(frame.toast).toContainText('reports:read was deleted');
    await expect(scopes.row('reports:read')).toHaveCount(0);
    expect(await verdict(server, place, secret, { scope: 'reports:read' })).toBe('missing_scope');
    expect(await verdict(server, place, secret, { scope: 'inference' })).toBe('valid');
  });
});

test('with script switched off, every act on resources and scopes is a form', async ({ guard, openAdmin, place, server }) => {
  test.setTimeout(60_000);
  guard.expect(/status of 4(00|09)/);
  const page = await openAdmin({ javaScriptEnabled: false });
  const resources = new ResourcesPage(page);
  const resource = new ResourceDialog(page);
  const scopes = new ScopesPage(page);
  const scope = new ScopeDialog(page);
  let secret = '';

  await test.step('a resource is added after a refusal that keeps what was typed', async () => {
    await page.goto(address(server, place, 'resources'));
    await resources.add.click();
    await resource.fill('Wrong', 'contracts', 'Contracts');
    await resource.add.click();
    await expect(page.locator('#kind-error')).toContainText('Use one lower-case word');
    await expect(resource.id).toHaveValue('contracts');
    await resource.kind.fill('collection');
    await resource.add.click();
    await expect(resources.notice).toHaveText('The resource was added. Keys can be tied to it now.');
    await resources.edit('Contracts').click();
    await resource.name.fill('Deeds');
    await resource.save.click();
    await expect(resources.notice).toHaveText('The resource was saved.');
    await resources.search.fill('deed');
    await resources.show.click();
    await expect(resources.row('Deeds')).toBeVisible();
  });

  await test.step('a scope is added and changed', async () => {
    await page.goto(address(server, place, 'scopes'));
    await scopes.add.click();
    await scope.name.fill('reports:read');
    await scope.includes('chat').check();
    await scope.add.click();
    await expect(scopes.notice).toHaveText('The scope was added. Keys can hold it now.');
    await scopes.edit('reports:read').click();
    await expect(scope.includes('chat')).toBeChecked();
    await scope.includes('chat').uncheck();
    await scope.includes('inference').check();
    await scope.public.check();
    await scope.save.click();
    await expect(scopes.notice).toContainText('The scope was saved.');
    await expect(scopes.row('reports:read')).toContainText('Public');
  });

  await test.step('a key is tied, and tied to everything again', async () => {
    await page.goto(`${place.keys}/new`);
    const form = new NewKeyDialog(page);
    const choice = new ResourceChoice(form.dialog);
    await form.fill({ name: 'Reader', scopes: ['reports:read', 'chat'] });
    await choice.some.check();
    await form.generate.click();
    await expect(choice.error).toContainText('Tick at least one resource');
    await expect(choice.some).toBeChecked();
    await choice.box('Deeds').check();
    await form.generate.click();
    secret = (await page.locator('#secret').innerText()).trim();
    expect(await verdict(server, place, secret, { scope: 'inference', resource: 'collection:contracts' })).toBe('valid');
    expect(await verdict(server, place, secret, { resource: 'collection:other' })).toBe('wrong_resource');
    const id = (await server.keys(place.slug)).find((key) => key.name === 'Reader')?.id ?? '';
    await page.goto(`${place.keys}/${id}/edit/resources`);
    const dialog = new ResourceChoice(page.getByRole('dialog'));
    await expect(dialog.box('Deeds')).toBeChecked();
    await dialog.everything.check();
    await page.getByRole('button', { name: 'Save resources' }).click();
    await expect(page.locator('main').getByRole('status')).toHaveText('The resources were saved. They hold from the next call on.');
    expect(await verdict(server, place, secret, { resource: 'collection:other' })).toBe('valid');
  });

  await test.step('both are deleted', async () => {
    await page.goto(address(server, place, 'scopes/reports:read/delete'));
    await scope.removeFromKeys.click();
    await expect(scopes.notice).toHaveText('The scope was deleted. No key holds it any more.');
    await page.goto(address(server, place, 'resources'));
    await resources.trash('Deeds').click();
    await resource.remove.click();
    await expect(resources.notice).toHaveText('The resource was deleted. No key does anything there any more.');
    expect(await verdict(server, place, secret, { scope: 'reports:read' })).toBe('missing_scope');
  });
});

test('an address that names no resource, no scope or no act is not found', async ({ admin, guard, place, server }) => {
  guard.expect(/status of 404/);
  for (const path of ['resources/res_0000000000000000000000/edit', 'resources/x/delete', 'resources/new/edit', 'scopes/none/edit', 'scopes/chat/delete', 'scopes/chat']) {
    await admin.goto(address(server, place, path));
    await expect(admin.getByRole('dialog')).toHaveCount(0);
    await expect(admin.locator('main')).toContainText(/nothing here|not found/i);
  }
});

test('a resource is picked from many with the keyboard alone', async ({ admin, place, server }) => {
  for (const at of Array.from({ length: 10 }, (_, at) => at)) await addResource(server, place, `set-${at}`, `Data set ${at}`, 'source');
  await visit(admin, `${place.keys}/new`);
  const form = new NewKeyDialog(admin);
  const choice = new ResourceChoice(form.dialog);
  await choice.everything.focus();
  await admin.keyboard.press('ArrowRight');
  await expect(choice.some).toBeChecked();
  await admin.keyboard.press('Tab');
  await expect(choice.search).toBeFocused();
  await admin.keyboard.type('set 7');
  await expect(choice.box('Data set 3')).toBeHidden();
  await admin.keyboard.press('Tab');
  await expect(choice.box('Data set 7')).toBeFocused();
  await admin.keyboard.press('Space');
  await expect(choice.box('Data set 7')).toBeChecked();
  // What is out of sight keeps its tick.
  await choice.search.fill('set 3');
  await expect(choice.box('Data set 7')).toBeHidden();
  await choice.search.fill('');
  await expect(choice.box('Data set 7')).toBeChecked();
});

test('the screens of resources and scopes hold in both themes and every width', async ({ admin, place, server }) => {
  test.setTimeout(180_000);
  await addResource(server, place, 'contracts-2026', 'Contracts of 2026');
  await addResource(server, place, 'support-knowledge-base-with-a-very-long-identifier-0001', 'Support knowledge base', 'source');
  await addResource(server, place, 'vision-atlas', 'Atlas', 'project');
  await makeKey(server, place, 'Contract reader', ['--scope', 'chat', '--resource', 'collection:contracts-2026']);
  await visit(admin, address(server, place, 'scopes/new'));
  const form = new ScopeDialog(admin);
  await form.name.fill('reports:read');
  await form.description.fill('Read the monthly reports of the whole laboratory, never change them.');
  await form.includes('inference').check();
  await form.public.check();
  await examine(admin, 'scope-new');
  await form.add.click();
  await expect(form.dialog).toHaveCount(0);
  await examine(admin, 'scopes');
  await visit(admin, address(server, place, 'scopes/reports:read/delete'));
  await examine(admin, 'scope-delete');
  await visit(admin, address(server, place, 'resources'));
  await examine(admin, 'resources');
  await visit(admin, address(server, place, 'resources/new'));
  await examine(admin, 'resource-new');
  await visit(admin, address(server, place, 'resources'));
  await new ResourcesPage(admin).trash('Contracts of 2026').click();
  await examine(admin, 'resource-delete');
  await visit(admin, `${place.keys}/new`);
  const key = new NewKeyDialog(admin);
  const choice = new ResourceChoice(key.dialog);
  await key.fill({ name: 'Nightly', scopes: ['reports:read'] });
  await choice.some.check();
  await choice.box('Atlas').check();
  await choice.box('Atlas').scrollIntoViewIfNeeded();
  await examine(admin, 'key-resources');
  await visit(admin, place.keys);
  await alive(admin);
  await examine(admin, 'keys-with-resources');
});
