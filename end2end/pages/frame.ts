/** What is around every page: whether it is alive, the menus of the header, the theme. */
import { type Locator, type Page, expect } from '@playwright/test';

/** Waits until script has woken the page. Before that its forms work too, but in their plain way. */
export async function alive(page: Page): Promise<void> {
  await expect(page.locator('html')).toHaveAttribute('data-script', '');
}

/** Opens an address and waits until the page is alive. */
export async function visit(page: Page, address: string): Promise<void> {
  await page.goto(address);
  await alive(page);
}

export class Frame {
  readonly skip: Locator;
  readonly account: Locator;
  readonly workspaces: Locator;
  readonly accountMenu: Locator;
  readonly workspaceMenu: Locator;
  readonly toast: Locator;

  constructor(readonly page: Page) {
    this.skip = page.getByRole('link', { name: 'Skip to the content' });
    this.account = page.getByRole('button', { name: /^Account:/ });
    this.workspaces = page.getByRole('button', { name: /^Workspace:/ });
    this.accountMenu = page.locator('#account-menu');
    this.workspaceMenu = page.locator('#workspace-menu');
    this.toast = page.locator('.toasts');
  }

  async signOut(): Promise<void> {
    await this.account.click();
    await this.accountMenu.getByRole('button', { name: 'Sign out' }).click();
    await this.page.waitForURL('**/sign-in');
  }

  /** Puts away the message in the corner, which lies over what is below it. */
  async dismissToast(): Promise<void> {
    await this.toast.getByRole('button', { name: 'Dismiss' }).click();
    await expect(this.toast.locator('.toast')).toHaveCount(0);
  }

  /** Picks a theme in the account menu. */
  async pickTheme(theme: 'System' | 'Light' | 'Dark'): Promise<void> {
    await this.account.click();
    await this.accountMenu.getByRole('button', { name: theme }).click();
  }
}
