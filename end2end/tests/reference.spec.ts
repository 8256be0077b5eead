/** The API reference: found from the account, readable without a script, by keyboard and on a phone. */
import { Frame, visit } from '../pages/frame';
import { ReferencePage } from '../pages/reference';
import { expectAccessible } from '../support/axe';
import { expect, test } from '../support/fixtures';

test('the account leads to the reference, and the reference back', async ({ admin, server }) => {
  await visit(admin, `${server.url}/account`);
  await admin.getByRole('link', { name: 'Read the API reference' }).click();
  const reference = new ReferencePage(admin);
  await expect(reference.heading).toBeVisible();
  await reference.operations.getByRole('link', { name: 'Create a key' }).click();
  await expect(admin).toHaveURL(/#create_key$/);
  const create = reference.operation('create_key');
  await expect(create).toBeInViewport();
  await expect(create.getByText('curl -X POST "$KEYFOLD/v1/workspaces/acme/keys"')).toBeVisible();
  await create.getByRole('link', { name: 'NewKey' }).click();
  await expect(admin.locator('#schema-NewKey')).toBeInViewport();
  await admin.getByRole('link', { name: 'Keyfold' }).click();
  await expect(new Frame(admin).account).toBeVisible();
});

for (const colorScheme of ['light', 'dark'] as const) {
  for (const width of [1280, 390]) {
    test(`the reference is accessible, ${colorScheme}, ${width} px wide`, async ({ open, server }) => {
      test.setTimeout(90_000);
      const page = await open({ javaScriptEnabled: true, colorScheme, viewport: { width, height: 844 } });
      const reference = new ReferencePage(page);
      await reference.open(server.url);
      await expect(reference.heading).toBeVisible();
      expect(await page.evaluate(() => document.documentElement.scrollWidth), 'nothing sticks out').toBe(width);
      await expectAccessible(page, `reference, ${colorScheme}, ${width}`);
    });
  }
}

test('a stranger with the keyboard reaches the content at once', async ({ open, server }) => {
  const page = await open({ javaScriptEnabled: false });
  const reference = new ReferencePage(page);
  await reference.open(server.url);
  await page.keyboard.press('Tab');
  await expect(page.getByRole('link', { name: 'Skip to the content' })).toBeFocused();
  await page.keyboard.press('Enter');
  await expect(page).toHaveURL(/#main$/);
  await page.keyboard.press('Tab');
  await expect(page.getByRole('link', { name: 'openapi.json', exact: true })).toBeFocused();
});
