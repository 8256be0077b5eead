/** Finding things by name, single keys, and the choice of columns: with script, without it, and switched off. */
import { ColumnsDialog, FindPage, Palette } from '../pages/find';
import { Frame, visit } from '../pages/frame';
import { FilterDialog, KeysPage, NewKeyDialog } from '../pages/keys';
import { expectAccessible } from '../support/axe';
import { expect, test } from '../support/fixtures';
import { examine } from '../support/looks';

test.describe.configure({ timeout: 60_000 });

test('Ctrl+K finds a key, and Enter or the arrows lead to it', async ({ admin, place, server }) => {
  await server.createKey(place.slug, `Nightly ${place.slug}`);
  await server.createKey(place.slug, `Hourly ${place.slug}`);
  await visit(admin, place.keys);
  const palette = new Palette(admin);
  await admin.keyboard.press('Control+k');
  await expect(palette.field).toBeFocused();
  await expect(palette.entry('Members')).toBeVisible();
  await admin.keyboard.type(`ly ${place.slug}`);
  await expect(palette.said).toHaveText('2 results found.');
  await expect(palette.entry('Nightly')).toContainText('Vision Lab');
  await expectAccessible(admin, 'the palette');
  await admin.keyboard.press('ArrowDown');
  await expect(palette.entry('Hourly')).toBeFocused();
  await admin.keyboard.press('ArrowDown');
  await expect(palette.entry('Nightly')).toBeFocused();
  await admin.keyboard.press('ArrowUp');
  await admin.keyboard.press('ArrowUp');
  await expect(palette.field).toBeFocused();
  await admin.keyboard.press('ArrowDown');
  await admin.keyboard.press('Enter');
  await expect(palette.dialog).toBeHidden();
  await expect(admin.getByRole('heading', { level: 1 })).toContainText('Hourly');
  // The page was not loaded anew for it.
  await expect(admin.locator('html')).toHaveAttribute('data-script', '');

  await admin.keyboard.press('Control+k');
  await expect(palette.field).toBeFocused();
  await admin.keyboard.type('scopes');
  await admin.keyboard.press('Enter');
  await admin.waitForURL(`**/w/${place.slug}/scopes`);
});

test('the palette closes by Esc, gives the keyboard back, and says when nothing is found or the server is gone', async ({ admin, place, guard }) => {
  guard.expect(/ERR_INTERNET_DISCONNECTED/);
  await visit(admin, place.keys);
  const [palette, keys] = [new Palette(admin), new KeysPage(admin)];
  await keys.add.focus();
  await admin.keyboard.press('Control+k');
  await palette.field.fill('zebra <b>');
  await expect(palette.dialog).toContainText('Nothing is called “zebra <b>”.');
  await admin.context().setOffline(true);
  await palette.field.fill('zebras');
  await expect(palette.dialog.getByRole('alert')).toHaveText('The server cannot be reached. Try again.');
  await admin.context().setOffline(false);
  await admin.keyboard.press('Escape');
  if (await palette.dialog.isVisible()) await admin.keyboard.press('Escape');
  await expect(palette.dialog).toHaveCount(0);
  await expect(keys.add).toBeFocused();
});

test('what is typed before the palette has come is not lost, and does nothing else', async ({ admin, place }) => {
  let come = () => {};
  const asked = new Promise<void>((resolve) => {
    come = resolve;
  });
  await admin.route('**/palette*.js', async (route) => {
    await asked;
    await route.continue();
  });
  await visit(admin, place.keys);
  const palette = new Palette(admin);
  await admin.keyboard.press('Control+k');
  // `c` alone would open the form of a new key, and `/` the search.
  await admin.keyboard.type('c/scx');
  await admin.keyboard.press('Backspace');
  come();
  await expect(palette.field).toBeFocused();
  await expect(palette.field).toHaveValue('c/sc');
  await admin.keyboard.type('opes');
  await expect(palette.said).toHaveText('Nothing is called “c/scopes”.');
  await expect(admin).toHaveURL(place.keys);
});

test('single keys create, search, lead to pages and show what they do', async ({ admin, place, server }) => {
  await server.createKey(place.slug, 'Nightly report');
  await visit(admin, place.keys);
  const [keys, form] = [new KeysPage(admin), new NewKeyDialog(admin)];
  await admin.keyboard.press('/');
  await expect(keys.search).toBeFocused();
  await expect(keys.search).toHaveValue('');
  await keys.heading.focus();
  await admin.keyboard.press('c');
  await expect(form.name).toBeFocused();

  await test.step('no key acts while something is typed or a dialog is open', async () => {
    await admin.keyboard.type('c/?gk');
    await expect(form.name).toHaveValue('c/?gk');
    await form.kind('Publishable').focus();
    await admin.keyboard.type('?gr');
    await admin.keyboard.press('Control+k');
    await expect(admin.locator('dialog[open]')).toHaveCount(1);
    await admin.keyboard.press('Escape');
    await expect(form.dialog).toBeHidden();
  });

  await test.step('g and a letter go to a page', async () => {
    await admin.keyboard.press('g');
    await admin.keyboard.press('r');
    await admin.waitForURL('**/resources');
    await admin.keyboard.press('g');
    await admin.keyboard.press('k');
    await admin.waitForURL('**/keys');
  });

  await test.step('? shows them all', async () => {
    await admin.keyboard.press('?');
    const help = admin.getByRole('dialog', { name: 'Keyboard shortcuts' });
    await expect(help.getByRole('row', { name: /Search the list/ })).toBeVisible();
    await expectAccessible(admin, 'the keys of the keyboard');
    await admin.keyboard.press('Escape');
    await expect(help).toHaveCount(0);
  });
});

test('single keys are switched off on the account page, with and without script', async ({ openAdmin, place, server }) => {
  for (const script of [true, false]) {
    await test.step(script ? 'with script' : 'without script', async () => {
      const page = await openAdmin({ javaScriptEnabled: script });
      await page.goto(`${server.url}/account`);
      if (script) await expect(page.locator('html')).toHaveAttribute('data-script', '');
      await page.getByRole('button', { name: 'Switch single keys off' }).click();
      await expect(page.getByText('Single keys do nothing.')).toBeVisible();
      await expect(page.locator('html')).toHaveAttribute('data-shortcuts', 'off');
      await page.goto(place.keys);
      await expect(page.locator('html')).toHaveAttribute('data-shortcuts', 'off');
      if (script) {
        await page.locator('html[data-script]').waitFor();
        await page.keyboard.press('c');
        await page.keyboard.press('?');
        await page.keyboard.press('Control+k');
        await expect(page.getByRole('dialog')).toHaveCount(1);
        await expect(new Palette(page).dialog).toBeVisible();
      }
      await page.goto(`${server.url}/account`);
      if (script) await expect(page.locator('html')).toHaveAttribute('data-script', '');
      await page.getByRole('button', { name: 'Switch single keys on' }).click();
      await expect(page.getByText('Single keys act.')).toBeVisible();
      await expect(page.locator('html')).not.toHaveAttribute('data-shortcuts');
      await page.close();
    });
  }
});

test('without script, finding is a page with a form, and the help a page of its own', async ({ openAdmin, place, server }) => {
  await server.createKey(place.slug, `Quiet ${place.slug}`);
  const page = await openAdmin({ javaScriptEnabled: false });
  await page.goto(place.keys);
  const help = page.getByRole('navigation', { name: 'Help' });
  await help.getByRole('link', { name: 'Find' }).click();
  const find = new FindPage(page);
  await find.field.fill(`quiet ${place.slug}`);
  await find.submit.click();
  await expect(find.found.getByRole('link')).toHaveCount(1);
  await find.found.getByRole('link').click();
  await expect(page.getByRole('heading', { level: 1 })).toContainText('Quiet');
  await help.getByRole('link', { name: 'Keyboard shortcuts' }).click();
  await expect(page.getByRole('table', { name: 'Everywhere' })).toBeVisible();
});

test('the palette works while the rest of the page has not woken', async ({ openAdmin, place, guard }) => {
  guard.expect(/\.wasm: net::ERR_BLOCKED_BY_CLIENT/);
  guard.expect(/console error: Failed to load resource: net::ERR_BLOCKED_BY_CLIENT/);
  guard.expect(/uncaught: TypeError: Failed to fetch/);
  const page = await openAdmin();
  await page.context().route('**/*.wasm', (route) => route.abort('blockedbyclient'));
  await page.goto(place.keys);
  await page.keyboard.press('Control+k');
  const palette = new Palette(page);
  await palette.field.fill('audit');
  await expect(palette.said).toHaveText(/found/);
  await page.keyboard.press('Enter');
  await page.waitForURL('**/audit');
});

test('columns that nobody wants are left out, in the page as it comes too, and cards stay whole', async ({ admin, openAdmin, place, server }) => {
  await server.createKey(place.slug, 'Nightly report');
  await visit(admin, `${place.keys}?sort=name`);
  const [keys, filter, columns] = [new KeysPage(admin), new FilterDialog(admin), new ColumnsDialog(admin)];
  const seen = async (): Promise<string[]> => {
    const heads = keys.table.locator('thead th').filter({ visible: true });
    return (await heads.allInnerTexts()).map((text) => text.trim()).filter((text) => !['Tick', 'Actions', ''].includes(text));
  };
  const all = ['Key', 'Status', 'Scopes', 'Resource', 'Created', 'Expires', 'Last used', 'Calls'];
  expect(await seen()).toEqual(all);
  await keys.filter.click();
  await filter.dialog.getByRole('link', { name: 'Columns' }).click();
  await expect(columns.dialog).toBeVisible();
  await expectAccessible(admin, 'the choice of columns');
  for (const title of ['Resource', 'Created', 'Calls']) await columns.column(title).uncheck();
  await columns.save.click();
  await expect(columns.dialog).toBeHidden();
  expect(new URL(admin.url()).search).toBe('?sort=name');
  const few = ['Key', 'Status', 'Scopes', 'Expires', 'Last used'];
  await expect.poll(seen).toEqual(few);
  await expect(keys.cell('Nightly report', 'Calls')).toBeHidden();
  await visit(admin, place.keys);
  expect(await seen()).toEqual(few);
  await admin.setViewportSize({ width: 390, height: 844 });
  for (const label of ['Resource', 'Created', 'Calls']) await expect(keys.cell('Nightly report', label)).toBeVisible();

  const plain = await openAdmin({ javaScriptEnabled: false });
  await plain.goto(`${place.keys}/filter/columns?sort=name`);
  const form = new ColumnsDialog(plain);
  await expect(form.column('Calls')).toBeChecked();
  await form.column('Status').uncheck();
  await form.save.click();
  await plain.waitForURL(`${place.keys}?sort=name`);
  await expect(new KeysPage(plain).table.getByRole('columnheader', { name: 'Status' })).toBeHidden();
  await expect(new KeysPage(plain).table.getByRole('columnheader', { name: 'Scopes' })).toBeVisible();
});

test('the palette, its page, the help and the columns in both themes and at every width', async ({ admin, place, server }) => {
  await server.createKey(place.slug, 'Nightly report');
  await visit(admin, place.keys);
  await admin.keyboard.press('Control+k');
  await new Palette(admin).field.fill('re');
  await expect(new Palette(admin).said).toHaveText(/found/);
  await examine(admin, 'palette', { forDocs: true });
  await visit(admin, `${server.url}/account/find?q=nightly`);
  await examine(admin, 'find');
  await visit(admin, `${server.url}/account/keyboard`);
  await examine(admin, 'keyboard');
  await visit(admin, `${place.keys}/filter`);
  await examine(admin, 'filter');
  await visit(admin, `${place.keys}/filter/columns`);
  await examine(admin, 'columns');
  await expect(new Frame(admin).account).toBeVisible();
});

test('what a screen reader finds in the palette, the filter and the columns is as it was agreed', async ({ admin, place, server }) => {
  await server.createKey(place.slug, `Nightly ${place.slug}`);
  await visit(admin, place.keys);
  await admin.keyboard.press('Control+k');
  const palette = new Palette(admin);
  await palette.field.fill(`nightly ${place.slug}`);
  await expect(palette.said).toHaveText('1 result found.');
  await expect(palette.dialog).toMatchAriaSnapshot(`
    - dialog "Find":
      - heading "Find" [level=2]
      - button "Close"
      - search:
        - searchbox "Page, workspace or key"
      - heading "Keys" [level=2]
      - list:
        - listitem:
          - link /Nightly .* kf_sec_….* · Vision Lab/
      - status: 1 result found.
  `);
  await visit(admin, `${place.keys}/filter`);
  await expect(new FilterDialog(admin).pick('Status'), 'the first field has the keyboard').toBeFocused();
  await expect(new FilterDialog(admin).dialog).toMatchAriaSnapshot(`
    - dialog "Filter keys":
      - heading "Filter keys" [level=2]
      - link "Close"
      - combobox "Status"
      - combobox "Kind"
      - combobox "Scope"
      - combobox "Resource"
      - combobox "Used"
      - combobox "Expires"
      - combobox "Owner"
      - link "Columns"
      - link "Reset"
      - button "Show keys"
  `);
  await visit(admin, `${place.keys}/filter/columns`);
  await expect(new ColumnsDialog(admin).column('Status')).toBeFocused();
  await expect(new ColumnsDialog(admin).dialog).toMatchAriaSnapshot(`
    - dialog "Columns":
      - heading "Columns" [level=2]
      - link "Close"
      - group "Columns to show":
        - checkbox "Status" [checked]
        - checkbox "Scopes" [checked]
        - checkbox "Resource" [checked]
        - checkbox "Created, and owner" [checked]
        - checkbox "Expires" [checked]
        - checkbox "Last used" [checked]
        - checkbox "Calls" [checked]
      - link "Cancel"
      - button "Save columns"
  `);
});
