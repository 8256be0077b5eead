/** The pages about people: members of a workspace, users and workspaces of the server, one's own account, one-time links. */
import type { Locator, Page } from '@playwright/test';

/** A list of people, and the dialogs over it. */
export class PeoplePage {
  readonly heading: Locator;
  readonly dialog: Locator;
  readonly link: Locator;
  readonly password: Locator;

  constructor(readonly page: Page, title: 'Members' | 'Users' | 'Workspaces' | 'Account') {
    this.heading = page.getByRole('heading', { level: 1, name: title, exact: true });
    this.dialog = page.getByRole('dialog');
    this.link = page.locator('#one-time-link');
    this.password = page.getByLabel('Your password again');
  }

  /** The row of somebody or something, in the table with that caption. */
  row(name: string, table: RegExp = /by username|by short name/): Locator {
    return this.page.getByRole('table', { name: table }).getByRole('row').filter({ hasText: name });
  }

  /** The one-time link that is on the screen. */
  async shownLink(): Promise<string> {
    return (await this.link.innerText()).trim();
  }
}

/** The page behind an invitation. */
export class InvitePage {
  readonly heading: Locator;
  readonly username: Locator;
  readonly email: Locator;
  readonly password: Locator;
  readonly join: Locator;
  readonly accept: Locator;

  constructor(readonly page: Page) {
    this.heading = page.getByRole('heading', { level: 1, name: /^Join / });
    this.username = page.getByLabel('Username');
    this.email = page.getByLabel('E-mail');
    this.password = page.getByLabel('Password');
    this.join = page.getByRole('button', { name: 'Create account and join' });
    this.accept = page.getByRole('button', { name: 'Join the workspace' });
  }

  async fill(username: string, password: string): Promise<void> {
    await this.username.fill(username);
    await this.email.fill(`${username}@example.com`);
    await this.password.fill(password);
  }
}
