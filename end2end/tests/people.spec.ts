/** People: they are invited, get roles and keys, leave, are shut out, and look after their own account. */
import type { BrowserContextOptions, Page } from '@playwright/test';

import { alive, Frame, visit } from '../pages/frame';
import { SignInPage } from '../pages/gates';
import { InvitePage, PeoplePage } from '../pages/people';
import { expectAccessible } from '../support/axe';
import { expect, signInWith, test } from '../support/fixtures';
import { whoami } from '../support/keyfold';
import { examine } from '../support/looks';
import type { Server } from '../support/server';

const PASSWORD = 'seven lanterns over the harbour';
const OTHER = 'nine quiet engines in the rain';

let made = 0;

/** A name that nobody else has. */
function fresh(name: string): string {
  made += 1;
  return `${name}-${process.pid}-${made}`;
}

async function member(server: Server, workspace: string, name: string, role = 'member'): Promise<string> {
  const username = fresh(name);
  await server.cli(['user', 'create', '--username', username, '--email', `${username}@example.com`, '--password-stdin'], PASSWORD);
  await server.cli(['member', 'add', '--workspace', workspace, '--user', username, '--role', role]);
  return username;
}

const PLACE = { slug: 'vision-lab', name: 'Vision Lab' };

/** A server of the test's own with a page of its administrator: tries to sign in are limited by network, and all come from here. */
async function found(
  startServer: () => Promise<Server>,
  open: (options?: BrowserContextOptions) => Promise<Page>,
  script: boolean,
): Promise<{ server: Server; admin: Page }> {
  const server = await startServer();
  const cookie = await server.setUp(PLACE);
  const admin = await open({ javaScriptEnabled: script });
  await signInWith(admin.context(), server, cookie);
  return { server, admin };
}

/** Loads an address; with script, waits until the page is alive. */
async function open(page: Page, address: string, script: boolean): Promise<void> {
  await page.goto(address);
  if (script) await alive(page);
}

for (const script of [true, false]) {
  const way = script ? 'with script' : 'without script';

  test(`${way}, somebody is invited by a link, joins with a new account, and the link works no second time`, async ({
    guard,
    open: context,
    startServer,
  }) => {
    const { server, admin } = await found(startServer, context, script);
    const place = PLACE;
    const members = new PeoplePage(admin, 'Members');
    await open(admin, `${server.url}/w/${place.slug}/members/invite`, script);
    await admin.getByLabel('For whom').fill('grace@example.com');
    await admin.getByRole('radio', { name: /^Member/ }).check();
    await admin.getByRole('button', { name: 'Make the link' }).click();
    await expect(members.link).toBeVisible();
    const link = await members.shownLink();
    expect(link).toMatch(/\/invite\?token=[0-9A-Za-z]{44}$/);
    expect(admin.url()).not.toContain('token');
    await admin.getByRole('link', { name: script ? 'Done' : /I have copied it/ }).click();
    await expect(members.row('grace@example.com', /Open invitations/)).toContainText('Member');
    expect(await admin.content()).not.toContain(link.split('token=')[1]);

    const page = await context({ javaScriptEnabled: script });
    const username = fresh('grace');
    const invite = new InvitePage(page);
    await open(page, link, script);
    await expect(invite.heading).toHaveText(`Join ${place.name}`);
    if (script) await expectAccessible(page, 'an invitation');
    if (script) guard.expect(/status of 400/);
    await invite.fill(username, 'short');
    await invite.join.click();
    await expect(page.locator('#password-error')).toContainText('at least 15 characters');
    await expect(invite.username).toHaveValue(username);
    await invite.password.fill(PASSWORD);
    await invite.join.click();
    await page.waitForURL(`**/w/${place.slug}/keys`);

    guard.expect(/status of 403/);
    const late = await context({ javaScriptEnabled: script });
    await late.goto(link);
    await expect(late.getByRole('heading', { level: 1, name: 'This link does not work' })).toBeVisible();
    await expect(late.getByText('This invitation is not good any more')).toBeVisible();
    await open(admin, `${server.url}/w/${place.slug}/members`, script);
    await expect(members.row(username)).toContainText('Member');
  });

  test(`${way}, keys of somebody who is removed wait, and one that is given away works with the same secret`, async ({
    openAdmin,
    place,
    server,
  }) => {
    const [leaver, heir] = [await member(server, place.slug, 'linus'), await member(server, place.slug, 'heir')];
    const secrets = [];
    for (const name of ['Nightly report', 'Old script']) {
      const args = ['key', 'create', '--workspace', place.slug, '--owner', leaver, '--name', name, '--scope', 'inference'];
      secrets.push(await server.cli(args));
    }
    const [kept = '', gone = ''] = secrets;
    // Made beside the server, which reads of it in its change log a moment later.
    await expect.poll(async () => (await whoami(server, kept)).status).toBe(200);
    const page = await openAdmin({ javaScriptEnabled: script });
    const members = new PeoplePage(page, 'Members');
    await open(page, `${server.url}/w/${place.slug}/members`, script);

    await members.row(leaver).getByRole('link', { name: /^Remove/ }).click();
    await expect(page.getByText('2 keys stop at once.')).toBeVisible();
    await page.getByRole('button', { name: 'Remove', exact: true }).click();
    await expect(page.getByRole('heading', { name: 'Keys of people who left' })).toBeVisible();
    await expect(members.row(leaver)).toHaveCount(0);
    expect((await whoami(server, kept)).status).toBe(401);

    const waiting = /Keys of people who left/;
    await members.row('Nightly report', waiting).getByRole('link', { name: /^Decide/ }).click();
    await page.getByRole('radio', { name: /^Give to another member/ }).check();
    await page.getByLabel('New owner').selectOption({ label: `${heir} (${heir})` });
    await page.getByRole('button', { name: 'Decide' }).click();
    await expect(members.row('Nightly report', waiting)).toHaveCount(0);
    expect((await whoami(server, kept)).status).toBe(200);

    await members.row('Old script', waiting).getByRole('link', { name: /^Decide/ }).click();
    await page.getByRole('radio', { name: /^Delete/ }).check();
    await page.getByRole('button', { name: 'Decide' }).click();
    await expect(page.getByRole('heading', { name: 'Keys of people who left' })).toHaveCount(0);
    expect((await whoami(server, gone)).status).toBe(401);
  });

  test(`${way}, a user is added with a link, chooses a password, is disabled and enabled`, async ({ open: context, startServer }) => {
    const { server, admin: page } = await found(startServer, context, script);
    const users = new PeoplePage(page, 'Users');
    const username = fresh('vera');
    await open(page, `${server.url}/system/users/new`, script);
    await page.getByLabel('Username').fill(username);
    await page.getByLabel('E-mail', { exact: true }).fill(`${username}@example.com`);
    await page.getByRole('button', { name: 'Add user' }).click();
    await expect(users.link).toBeVisible();
    const link = await users.shownLink();
    expect(link).toMatch(/\/reset\?token=[0-9A-Za-z]{44}$/);

    const theirs = await context({ javaScriptEnabled: script });
    await open(theirs, link, script);
    await expect(theirs.getByRole('heading', { level: 1, name: 'Choose a password' })).toBeVisible();
    if (script) await expectAccessible(theirs, 'a link to a password');
    await theirs.getByLabel('New password').fill(PASSWORD);
    await theirs.getByRole('button', { name: 'Set the password' }).click();
    await theirs.waitForURL('**/sign-in?done=password');
    await new SignInPage(theirs).signIn(username, PASSWORD);
    await expect(theirs.getByRole('heading', { name: 'No workspace yet' })).toBeVisible();

    await open(page, `${server.url}/system/users?q=${username}`, script);
    await users.row(username).getByRole('link', { name: /^Disable/ }).click();
    await page.getByRole('button', { name: 'Disable', exact: true }).click();
    await expect(users.row(username)).toContainText('Disabled');
    await theirs.goto(`${server.url}/account`);
    await theirs.waitForURL('**/sign-in?next=**');
    await users.row(username).getByRole('link', { name: /^Enable/ }).click();
    await page.getByRole('button', { name: 'Enable', exact: true }).click();
    await expect(users.row(username)).toContainText('Active');
  });

  test(`${way}, the account changes its name and its password, and signs out elsewhere`, async ({ guard, open: context, startServer }) => {
    const { server } = await found(startServer, context, script);
    const username = await member(server, PLACE.slug, 'mira');
    const [here, there] = [await context({ javaScriptEnabled: script }), await context({ javaScriptEnabled: false })];
    for (const page of [here, there]) {
      await page.goto(`${server.url}/sign-in?next=/account`);
      if (page === here && script) await alive(page);
      await new SignInPage(page).signIn(username, PASSWORD);
      await page.waitForURL('**/account');
    }
    await open(here, `${server.url}/account`, script);
    await here.getByLabel('Name', { exact: true }).fill('Mira Berg');
    await here.getByRole('button', { name: 'Save profile' }).click();
    await expect(here.getByText('Your profile was saved.')).toBeVisible();
    await expect(here.getByRole('region', { name: 'Sessions' }).getByRole('listitem')).toHaveCount(2);

    if (script) guard.expect(/status of 403/);
    await here.getByLabel('Present password').fill('not my password at all');
    await here.getByLabel('New password').fill(OTHER);
    await here.getByRole('button', { name: 'Change password' }).click();
    await expect(here.locator('#present-error')).toContainText('This is not your password');
    await here.getByLabel('Present password').fill(PASSWORD);
    await here.getByLabel('New password').fill(OTHER);
    await here.getByRole('button', { name: 'Change password' }).click();
    await expect(here.getByText('Your password was changed.')).toBeVisible();
    await expect(here.getByRole('region', { name: 'Sessions' }).getByRole('listitem')).toHaveCount(1);
    await there.goto(`${server.url}/account`);
    await there.waitForURL('**/sign-in?next=**');
  });
}

test('somebody with an account signs in at the gate of an invitation and joins as themselves', async ({ open: context, startServer }) => {
  const { server, admin } = await found(startServer, context, true);
  const place = PLACE;
  await server.cli(['workspace', 'create', '--slug', 'elsewhere', '--name', 'Elsewhere', '--owner', 'ada']);
  await visit(admin, `${server.url}/w/${place.slug}/members/invite`);
  await admin.getByRole('radio', { name: /^Viewer/ }).check();
  await admin.getByRole('button', { name: 'Make the link' }).click();
  const link = await new PeoplePage(admin, 'Members').shownLink();
  const username = await member(server, 'elsewhere', 'nora');
  const page = await context();
  await visit(page, link);
  await page.getByRole('link', { name: 'Sign in first' }).click();
  await new SignInPage(page).signIn(username, PASSWORD);
  const invite = new InvitePage(page);
  await expect(page.getByText(`You are signed in as ${username}`)).toBeVisible();
  await invite.accept.click();
  await page.waitForURL(`**/w/${place.slug}/keys`);
  await new Frame(page).workspaces.click();
  await expect(new Frame(page).workspaceMenu.getByRole('link')).toHaveCount(2);
});

test('a role changes, and every page and dialog is accessible', async ({ admin, place, server }) => {
  const username = await member(server, place.slug, 'omar', 'viewer');
  const members = new PeoplePage(admin, 'Members');
  await visit(admin, `${server.url}/w/${place.slug}/members`);
  await expectAccessible(admin, 'members');
  await members.row(username).getByRole('link', { name: /^Change role/ }).click();
  await expect(members.dialog).toBeVisible();
  await expectAccessible(admin, 'another role');
  await admin.getByRole('radio', { name: /^Admin/ }).check();
  await admin.getByRole('button', { name: 'Save' }).click();
  await expect(members.row(username)).toContainText('Admin');
  await expect(members.dialog).toHaveCount(0);
  for (const [address, what] of [
    [`/w/${place.slug}/members/invite`, 'inviting'],
    ['/system/users', 'users'],
    ['/system/users/new', 'a new user'],
    ['/system/workspaces', 'workspaces'],
    ['/system/nodes', 'nodes'],
    ['/system/workspaces/new', 'a new workspace'],
    [`/system/workspaces/${place.slug}/rename`, 'another name'],
    ['/account', 'the account'],
  ] as const) {
    await visit(admin, server.url + address);
    await expectAccessible(admin, what);
  }
});

test('with the keyboard alone, an invitation is made, its dialog left, and the focus is back where it was', async ({ admin, place, server }) => {
  await visit(admin, `${server.url}/w/${place.slug}/members`);
  await admin.locator('#invite').focus();
  await admin.keyboard.press('Enter');
  await expect(admin.getByRole('dialog')).toBeVisible();
  await admin.getByRole('radio', { name: /^Member/ }).focus();
  await admin.keyboard.press('Enter');
  await expect(admin.locator('#one-time-link')).toBeVisible();
  await admin.keyboard.press('Escape');
  await expect(admin.getByRole('dialog')).toHaveCount(0);
  await expect(admin.getByRole('heading', { name: 'Open invitations' })).toBeVisible();
});

test('a workspace is made for a user and renamed', async ({ admin, server }) => {
  const slug = fresh('lab');
  await visit(admin, `${server.url}/system/workspaces/new`);
  await admin.getByLabel('Name', { exact: true }).fill('The Lab');
  await admin.getByLabel('Short name').fill(slug);
  await admin.getByLabel('Owner').fill('ada');
  await admin.getByRole('button', { name: 'Add workspace' }).click();
  const workspaces = new PeoplePage(admin, 'Workspaces');
  await expect(workspaces.row(slug)).toContainText('The Lab');
  await workspaces.row(slug).getByRole('link', { name: /^Rename/ }).click();
  await admin.getByLabel('Name', { exact: true }).fill('The Other Lab');
  await admin.getByRole('button', { name: 'Save' }).click();
  await expect(workspaces.row(slug)).toContainText('The Other Lab');
});

test('every screen about people holds in both themes, at every width', async ({ admin, open: context, place, server }) => {
  test.setTimeout(180_000);
  const leaver = await member(server, place.slug, 'linus');
  await member(server, place.slug, 'grace', 'admin');
  const viewer = await member(server, place.slug, 'a-person-with-a-rather-long-username', 'viewer');
  for (const name of ['Nightly report of the whole vision laboratory', 'Old script']) {
    await server.cli(['key', 'create', '--workspace', place.slug, '--owner', leaver, '--name', name, '--scope', 'inference']);
  }
  await visit(admin, `${server.url}/w/${place.slug}/members/invite`);
  await examine(admin, 'invite');
  await admin.getByLabel('For whom').fill('hopper@example.com');
  await admin.getByRole('button', { name: 'Make the link' }).click();
  await expect(admin.locator('#one-time-link')).toBeVisible();
  const link = await new PeoplePage(admin, 'Members').shownLink();
  await examine(admin, 'invite-link');
  await admin.getByRole('link', { name: 'Done' }).click();
  const members = new PeoplePage(admin, 'Members');
  await members.row(leaver).getByRole('link', { name: /^Remove/ }).click();
  await expect(admin.getByText('2 keys stop at once.')).toBeVisible();
  await examine(admin, 'remove-member');
  await admin.getByRole('button', { name: 'Remove', exact: true }).click();
  await expect(admin.getByRole('heading', { name: 'Keys of people who left' })).toBeVisible();
  await expect(members.dialog).toHaveCount(0);
  await visit(admin, `${server.url}/w/${place.slug}/members`);
  await examine(admin, 'members');
  await members.row('Old script', /Keys of people who left/).getByRole('link', { name: /^Decide/ }).click();
  await expect(members.dialog).toBeVisible();
  await examine(admin, 'left-key');
  await admin.getByRole('link', { name: 'Cancel' }).click();
  await members.row(viewer).getByRole('link', { name: /^Change role/ }).click();
  await expect(members.dialog).toBeVisible();
  await examine(admin, 'member-role');
  for (const [address, name] of [
    ['/system/users', 'users'],
    ['/system/users/new', 'new-user'],
    ['/system/workspaces', 'workspaces'],
    ['/account', 'account'],
  ] as const) {
    await visit(admin, server.url + address);
    await examine(admin, name);
  }
  const page = await context();
  await visit(page, link);
  await examine(page, 'invitation');
});
