/** The pages before one is inside: set-up and sign-in. */
import type { Locator, Page } from '@playwright/test';

import { ADMIN } from '../support/server';

export class SetUpPage {
  readonly heading: Locator;
  readonly displayName: Locator;
  readonly username: Locator;
  readonly email: Locator;
  readonly password: Locator;
  readonly token: Locator;
  readonly workspaceName: Locator;
  readonly workspaceSlug: Locator;
  readonly submit: Locator;

  constructor(readonly page: Page) {
    this.heading = page.getByRole('heading', { level: 1, name: 'Set up Keyfold' });
    this.displayName = page.getByLabel('Your name');
    this.username = page.getByLabel('Username');
    this.email = page.getByLabel('E-mail');
    this.password = page.getByLabel('Password');
    this.token = page.getByLabel('Set-up token');
    this.workspaceName = page.getByRole('group', { name: 'First workspace' }).getByLabel('Name', { exact: true });
    this.workspaceSlug = page.getByLabel('Short name');
    this.submit = page.getByRole('button', { name: 'Create account and workspace' });
  }

  /** Fills in everything but the short name of the workspace, which follows its name where script runs. */
  async fill(workspace: string): Promise<void> {
    await this.displayName.fill(ADMIN.displayName);
    await this.username.fill(ADMIN.username);
    await this.email.fill(ADMIN.email);
    await this.password.fill(ADMIN.password);
    await this.workspaceName.fill(workspace);
  }
}

export class SignInPage {
  readonly heading: Locator;
  readonly login: Locator;
  readonly password: Locator;
  readonly submit: Locator;
  readonly alert: Locator;

  constructor(readonly page: Page) {
    this.heading = page.getByRole('heading', { level: 1, name: 'Sign in to Keyfold' });
    this.login = page.getByLabel('Username');
    this.password = page.getByLabel('Password');
    this.submit = page.getByRole('button', { name: 'Sign in' });
    this.alert = page.getByRole('alert');
  }

  async signIn(login: string = ADMIN.username, password: string = ADMIN.password): Promise<void> {
    // The page before may ask for a username as well, and stays until this one has come.
    await this.heading.waitFor();
    await this.login.fill(login);
    await this.password.fill(password);
    await this.submit.click();
  }
}
