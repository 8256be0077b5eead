/** Every page and dialog over the data of `keyfold demo`: accessible, in both themes and every width. Pictures on request. */
import { KeysPage } from '../pages/keys';
import { visit } from '../pages/frame';
import { SignInPage } from '../pages/gates';
import { ADMIN, expect, test } from '../support/fixtures';
import { examine } from '../support/looks';
import type { Server } from '../support/server';

const PLACE = 'orchard';

interface Screen {
  name: string;
  /** Below the server's address. */
  address: string;
  forDocs?: boolean;
}

/** The screens that need nothing but to be opened. */
const SCREENS: Screen[] = [
  { name: 'demo-keys', address: `/w/${PLACE}/keys` },
  { name: 'demo-keys-all', address: `/w/${PLACE}/keys?state=all&sort=name` },
  { name: 'demo-keys-filter', address: `/w/${PLACE}/keys/filter?scope=inference` },
  { name: 'demo-keys-columns', address: `/w/${PLACE}/keys/filter/columns` },
  { name: 'demo-keys-narrowed', address: `/w/${PLACE}/keys?scope=inference&idle=30` },
  { name: 'demo-resources', address: `/w/${PLACE}/resources` },
  { name: 'demo-resource-new', address: `/w/${PLACE}/resources/new` },
  { name: 'demo-scopes', address: `/w/${PLACE}/scopes` },
  { name: 'demo-scope-new', address: `/w/${PLACE}/scopes/new` },
  { name: 'demo-routes', address: `/w/${PLACE}/routes` },
  { name: 'demo-members', address: `/w/${PLACE}/members` },
  { name: 'demo-member-invite', address: `/w/${PLACE}/members/invite` },
  { name: 'demo-audit', address: `/w/${PLACE}/audit`, forDocs: true },
  { name: 'demo-settings', address: `/w/${PLACE}/settings` },
  { name: 'demo-system-keys', address: '/system/keys', forDocs: true },
  { name: 'demo-system-users', address: '/system/users' },
  { name: 'demo-system-workspaces', address: '/system/workspaces' },
  { name: 'demo-system-policy', address: '/system/policy' },
  { name: 'demo-system-nodes', address: '/system/nodes' },
  { name: 'demo-system-audit', address: '/system/audit' },
  { name: 'demo-account', address: '/account' },
];

async function demo(server: Server, page: import('@playwright/test').Page): Promise<void> {
  await server.cli(['demo', '--password-stdin'], `${ADMIN.password}\n`);
  await visit(page, `${server.url}/sign-in`);
  await new SignInPage(page).signIn(ADMIN.username, ADMIN.password);
  await page.waitForURL('**/w/**');
}

test('every screen over plausible data, in both themes and at every width', async ({ page, startServer }) => {
  test.setTimeout(360_000);
  const server = await startServer();
  await demo(server, page);
  for (const { name, address, forDocs = false } of SCREENS) {
    await test.step(name, async () => {
      await visit(page, server.url + address);
      await expect(page.locator('main')).not.toContainText('Nothing here');
      await examine(page, name, { forDocs });
    });
  }

  await test.step('the page of a key that is used, and its dialogs', async () => {
    await visit(page, `${server.url}/w/${PLACE}/keys?sort=-last_used`);
    const row = new KeysPage(page).table.getByRole('rowheader').first().getByRole('link');
    const key = `${server.url}${await row.getAttribute('href')}`;
    await visit(page, key);
    await examine(page, 'demo-key', { forDocs: true });
    await page.evaluate(() => window.scrollTo(0, document.body.scrollHeight / 2));
    await examine(page, 'demo-key-lower');
    for (const dialog of ['rotate', 'edit/expiry', 'edit/name', 'edit/interval', 'edit/deactivate', 'edit/delete']) {
      await visit(page, `${key}/${dialog}`);
      await examine(page, `demo-key-${dialog.replace('/', '-')}`);
    }
  });

  await test.step('an act on many keys', async () => {
    await visit(page, `${server.url}/w/${PLACE}/keys`);
    const ticks = new KeysPage(page).table.getByRole('checkbox');
    await ticks.nth(0).check();
    await ticks.nth(1).check();
    await page.getByRole('button', { name: 'Delete', exact: true }).click();
    await page.waitForURL('**/bulk**');
    await examine(page, 'demo-bulk');
  });
});
