/** Testing what a key may do on its own page, deleting a workspace, and adding somebody by name: with script and without. */
import { TestAccessDialog } from '../pages/access';
import { alive } from '../pages/frame';
import { PeoplePage } from '../pages/people';
import { expectAccessible } from '../support/axe';
import { expect, signInWith, test } from '../support/fixtures';
import { whoami } from '../support/keyfold';

const PLACE = { slug: 'vision-lab', name: 'Vision Lab' };

for (const script of [true, false]) {
  const way = script ? 'with script' : 'without script';

  test(`${way}, a key is tested, and the answer says what fails and what would help`, async ({ openAdmin, place, server, guard }) => {
    guard.expect(/status of 400/);
    const args = ['key', 'create', '--workspace', place.slug, '--owner', 'ada', '--name', `Tested ${way}`, '--scope', 'inference'];
    await server.cli(args);
    const id = await server.keyId(place.slug, `Tested ${way}`);
    const page = await openAdmin({ javaScriptEnabled: script });
    await page.goto(`${place.keys}/${id}`);
    if (script) await alive(page);
    await page.getByRole('main').getByRole('link', { name: 'Test access' }).click();
    const access = new TestAccessDialog(page);
    await expect(access.dialog).toBeVisible();
    await expect(access.checks).toHaveCount(0);

    await access.scope.selectOption('chat');
    await access.ask.click();
    await expect(access.dialog.getByText('Denied: Scope missing')).toBeVisible();
    await expect(access.checks).toHaveCount(10);
    await expect(access.failed()).toHaveCount(1);
    await expect(access.failed()).toContainText('Give it the scope chat, or one that implies it.');
    if (script) await expectAccessible(page, 'a key that was tested');

    await access.scope.selectOption('inference');
    await access.ask.click();
    await expect(access.dialog.getByText('Allowed')).toBeVisible();
    await expect(access.failed()).toHaveCount(0);

    await access.address.fill('nowhere');
    await access.ask.click();
    await expect(access.dialog.locator('#client_ip-error')).toContainText('Write an IPv4 or IPv6 address');
    await expect(access.address).toHaveValue('nowhere');

    // Nothing of it was a use.
    await page.goto(`${place.keys}/${id}`);
    await expect(page.getByText('Nobody used this key in the last 30 days.')).toBeVisible();
  });

  test(`${way}, a workspace is deleted by whoever types its short name, and its keys stop`, async ({ guard, open, startServer }) => {
    // A form without script is answered by its page again.
    if (script) guard.expect(/status of 400/);
    const server = await startServer();
    const cookie = await server.setUp(PLACE);
    await server.cli(['workspace', 'create', '--slug', 'attic', '--name', 'Attic', '--owner', 'ada']);
    const secret = (await server.cli(['key', 'create', '--workspace', 'attic', '--owner', 'ada', '--name', 'Old', '--scope', 'chat'])).trim();
    await expect.poll(async () => (await whoami(server, secret)).status).toBe(200);
    const page = await open({ javaScriptEnabled: script });
    await signInWith(page.context(), server, cookie);
    await page.goto(`${server.url}/system/workspaces`);
    if (script) await alive(page);
    const places = new PeoplePage(page, 'Workspaces');
    await places.row('Attic').getByRole('link', { name: 'Delete Attic' }).click();
    await expect(places.dialog.getByText('1 key stops at once.')).toBeVisible();
    await places.dialog.getByLabel('Short name').fill('attics');
    await places.dialog.getByRole('button', { name: 'Delete workspace' }).click();
    await expect(page.locator('#confirmation-error')).toContainText('Give the short name, attic, to be sure.');
    expect((await whoami(server, secret)).status).toBe(200);
    if (script) await expectAccessible(page, 'a workspace about to be deleted');
    await places.dialog.getByLabel('Short name').fill('attic');
    await places.dialog.getByRole('button', { name: 'Delete workspace' }).click();
    await expect(places.dialog).toHaveCount(0);
    await expect(places.row('Attic')).toHaveCount(0);
    expect((await whoami(server, secret)).status).toBe(401);
  });

  test(`${way}, somebody who has an account is added to a workspace by name`, async ({ guard, open, startServer }) => {
    if (script) guard.expect(/status of 400/);
    const server = await startServer();
    const cookie = await server.setUp(PLACE);
    const user = ['user', 'create', '--username', 'mira', '--email', 'mira@example.com', '--password-stdin'];
    await server.cli(user, 'seven lanterns over the harbour');
    const page = await open({ javaScriptEnabled: script });
    await signInWith(page.context(), server, cookie);
    await page.goto(`${server.url}/w/${PLACE.slug}/members`);
    if (script) await alive(page);
    const members = new PeoplePage(page, 'Members');
    await page.getByRole('link', { name: 'Add by name' }).click();
    await members.dialog.getByLabel('Username').fill('nobody');
    await members.dialog.getByRole('button', { name: 'Add', exact: true }).click();
    await expect(page.locator('#user-error')).toContainText('There is no such user.');
    await members.dialog.getByLabel('Username').fill('mira');
    await members.dialog.getByRole('button', { name: 'Add', exact: true }).click();
    await expect(members.dialog).toHaveCount(0);
    await expect(members.row('mira')).toContainText('Member');
  });
}
