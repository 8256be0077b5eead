/** Everything by keyboard alone. Nothing is clicked here. */
import type { Page } from '@playwright/test';

import { Frame, alive, visit } from '../pages/frame';
import { SetUpPage, SignInPage } from '../pages/gates';
import { DeleteDialog, EditScopesDialog, KeysPage, NewKeyDialog, SecretDialog } from '../pages/keys';
import { ADMIN, expect, test } from '../support/fixtures';
import { hasVisibleFocus, press, tabTo } from '../support/keyboard';
import { whoami } from '../support/keyfold';

/** Types into the field that Tab leads to. */
async function type(page: Page, field: Parameters<typeof tabTo>[1], text: string): Promise<void> {
  await tabTo(page, field);
  await page.keyboard.type(text);
}

test('the whole journey works by keyboard alone', async ({ page, startServer }) => {
  test.setTimeout(60_000);
  const server = await startServer();
  const keys = new KeysPage(page);
  let secret = '';

  await test.step('set up', async () => {
    await visit(page, server.setUpLink);
    const setUp = new SetUpPage(page);
    await expect(setUp.displayName).toBeFocused();
    await type(page, setUp.displayName, ADMIN.displayName);
    await type(page, setUp.username, ADMIN.username);
    await type(page, setUp.email, ADMIN.email);
    await type(page, setUp.password, ADMIN.password);
    await type(page, setUp.workspaceName, 'Vision Lab');
    await page.keyboard.press('Enter');
    await page.waitForURL('**/w/vision-lab/keys');
  });

  await test.step('make a key, and copy its secret', async () => {
    await press(page, keys.add);
    const form = new NewKeyDialog(page);
    await expect(form.name).toBeFocused();
    await page.keyboard.type('Nightly report');
    await tabTo(page, form.kind('Secret'));
    await page.keyboard.press('ArrowRight');
    await expect(form.kind('Publishable')).toBeChecked();
    await page.keyboard.press('ArrowLeft');
    await press(page, form.scope('inference'), 'Space');
    await expect(form.scope('inference')).toBeChecked();
    await tabTo(page, form.expires);
    await page.keyboard.press('ArrowUp');
    await expect(form.expires).toHaveValue('30');
    await press(page, form.generate);
    const reveal = new SecretDialog(page);
    secret = await reveal.read();
    await expect(reveal.copy).toBeFocused();
    await page.keyboard.press('Enter');
    await expect(reveal.says).toHaveText('Copied.');
    await press(page, reveal.done);
    await expect(reveal.dialog).toBeHidden();
    await expect(keys.add).toBeFocused();
  });

  await test.step('edit its scopes', async () => {
    await press(page, keys.editScopes('Nightly report'));
    const edit = new EditScopesDialog(page);
    await expect(edit.scope('project')).toBeFocused();
    await press(page, edit.scope('chat'), 'Space');
    await expect(edit.part('Gains')).toHaveText('chat');
    await press(page, edit.save);
    await expect(edit.dialog).toBeHidden();
    await expect(keys.cell('Nightly report', 'Scopes')).toContainText('chat');
    expect(await whoami(server, secret)).toMatchObject({ scopes: ['chat', 'inference'] });
  });

  await test.step('delete it', async () => {
    await press(page, keys.trash('Nightly report'));
    const question = new DeleteDialog(page);
    await expect(question.keep.or(question.confirmation).and(page.locator(':focus'))).toBeVisible();
    if (await question.confirmation.isVisible()) await page.keyboard.type('Nightly report');
    await press(page, question.remove);
    await expect(question.dialog).toBeHidden();
    await expect(keys.heading, 'the row is gone, so the heading has the keyboard').toBeFocused();
    expect((await whoami(server, secret)).status).toBe(401);
  });

  await test.step('sign out and in', async () => {
    const frame = new Frame(page);
    await press(page, frame.account);
    await press(page, frame.accountMenu.getByRole('button', { name: 'Sign out' }));
    await page.waitForURL('**/sign-in');
    const signIn = new SignInPage(page);
    await expect(signIn.login).toBeFocused();
    await page.keyboard.type(ADMIN.username);
    await type(page, signIn.password, ADMIN.password);
    await page.keyboard.press('Enter');
    await page.waitForURL('**/w/vision-lab/keys');
  });
});

test('the first press of Tab offers to skip to the content', async ({ admin, place }) => {
  await visit(admin, place.keys);
  const { skip } = new Frame(admin);
  await admin.keyboard.press('Tab');
  await expect(skip).toBeFocused();
  await expect(skip).toBeInViewport();
  const box = await skip.boundingBox();
  expect(box?.height).toBeGreaterThanOrEqual(24);
  await admin.keyboard.press('Enter');
  await admin.keyboard.press('Tab');
  await expect(new KeysPage(admin).add).toBeFocused();
});

test('each dialog is named, holds Tab, closes by Esc and gives the keyboard back to its opener', async ({ admin, place, server }) => {
  await server.createKey(place.slug, 'CI pipeline');
  await visit(admin, place.keys);
  const keys = new KeysPage(admin);
  const cases = [
    { opener: keys.add, dialog: new NewKeyDialog(admin).dialog, title: 'Add New Key' },
    { opener: keys.editScopes('CI pipeline'), dialog: new EditScopesDialog(admin).dialog, title: 'Edit scopes' },
    { opener: keys.trash('CI pipeline'), dialog: new DeleteDialog(admin).dialog, title: 'Delete CI pipeline?' },
  ];
  for (const { opener, dialog, title } of cases) {
    await test.step(title, async () => {
      await press(admin, opener);
      await expect(dialog).toBeVisible();
      await expect(dialog).toHaveAccessibleName(title);
      const inside = (): Promise<boolean> => dialog.evaluate((element) => element.contains(document.activeElement));
      expect(await inside(), 'the keyboard starts in the dialog').toBe(true);
      const around = await dialog.locator('a[href], button, input:not([type=hidden]), select, textarea, summary, [tabindex="0"]').count();
      for (let step = 0; step < around + 3; step += 1) {
        await admin.keyboard.press('Tab');
        // After the last element the browser's own controls have their turn: then nothing of the page has the keyboard.
        const where = await admin.evaluate(() => document.activeElement?.tagName);
        expect(where === 'BODY' || (await inside()), `step ${step} stays in the dialog`).toBe(true);
      }
      await admin.keyboard.press('Escape');
      await expect(dialog).toBeHidden();
      await expect(opener).toBeFocused();
    });
  }
});

test('the cross and Cancel close a dialog too, and the list stays as it was filtered', async ({ admin, place, server }) => {
  await server.createKey(place.slug, 'Alpha');
  await server.createKey(place.slug, 'Beta');
  await visit(admin, `${place.keys}?q=alp&sort=name`);
  const keys = new KeysPage(admin);
  const form = new NewKeyDialog(admin);
  for (const leave of [form.cancel, form.dialog.getByRole('link', { name: 'Close' })]) {
    await press(admin, keys.add);
    await expect(form.dialog).toBeVisible();
    await press(admin, leave);
    await expect(form.dialog).toBeHidden();
    expect(new URL(admin.url()).search).toBe('?q=alp&sort=name');
    await expect(keys.table.getByRole('rowheader')).toHaveText([/Alpha/]);
  }
});

test('the element with the keyboard is always in sight, also under the header and in narrow windows', async ({ admin, place, server }) => {
  for (const name of ['One', 'Two', 'Three', 'Four', 'Five', 'Six', 'Seven', 'Eight']) await server.createKey(place.slug, name);
  await admin.setViewportSize({ width: 390, height: 500 });
  await visit(admin, place.keys);
  const seen = new Set<string>();
  for (let step = 0; step < 45; step += 1) {
    await admin.keyboard.press('Tab');
    const focused = admin.locator(':focus');
    if ((await focused.count()) === 0) break;
    const what = await focused.evaluate((element) => element.outerHTML.slice(0, 120));
    if (seen.has(what)) continue;
    seen.add(what);
    const covered = await focused.evaluate((element) => {
      const box = element.getBoundingClientRect();
      const [x, y] = [box.left + box.width / 2, box.top + box.height / 2];
      const top = document.elementFromPoint(x, y);
      return top === null || !(element.contains(top) || top.contains(element));
    });
    expect(covered, `something covers ${what}`).toBe(false);
    expect(await hasVisibleFocus(focused) || (await hasVisibleFocus(focused.locator('..'))), `the focus shows on ${what}`).toBe(true);
  }
  expect(seen.size).toBeGreaterThan(15);
});

test('menus open by keyboard, close by Esc and give the keyboard back', async ({ admin, place }) => {
  await visit(admin, place.keys);
  const frame = new Frame(admin);
  for (const [opener, menu] of [
    [frame.workspaces, frame.workspaceMenu],
    [frame.account, frame.accountMenu],
  ] as const) {
    await press(admin, opener);
    await expect(menu).toBeVisible();
    await admin.keyboard.press('Tab');
    expect(await menu.evaluate((element) => element.contains(document.activeElement))).toBe(true);
    await admin.keyboard.press('Escape');
    await expect(menu).toBeHidden();
    await expect(opener).toBeFocused();
  }
  await press(admin, frame.account);
  await press(admin, frame.accountMenu.getByRole('link', { name: 'Account' }));
  await admin.waitForURL('**/account');
  await expect(frame.accountMenu).toBeHidden();
  await alive(admin);
});

test('what a screen reader finds in each dialog is as it was agreed', async ({ admin, place, server }) => {
  await server.createKey(place.slug, 'CI pipeline');
  await visit(admin, `${place.keys}/new`);
  await expect(new NewKeyDialog(admin).dialog).toMatchAriaSnapshot(`
    - dialog "Add New Key":
      - heading "Add New Key" [level=2]
      - link "Close"
      - text: Name
      - textbox "Name"
      - group "Kind":
        - radio /Secret/ [checked]
        - radio /Publishable/
        - radio /Management/
      - group "Scopes":
        - button "Select all of Your services"
        - checkbox /project/
        - checkbox /inference/
        - checkbox /chat/
      - text: Expires
      - combobox "Expires"
      - combobox "If nobody uses it"
      - group: Add a note
      - link "Cancel"
      - button "Generate Key"
  `);
  await visit(admin, `${place.keys}/${await server.keyId(place.slug, 'CI pipeline')}/delete`);
  await expect(new DeleteDialog(admin).dialog).toMatchAriaSnapshot(`
    - dialog "Delete CI pipeline?":
      - heading "Delete CI pipeline?" [level=2]
      - link "Close"
      - term: Key
      - term: Owner
      - definition: Ada Lovelace
      - term: Scopes
      - definition: inference
      - link "Keep key"
      - button "Delete key"
  `);
});
