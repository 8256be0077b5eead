/** The page of routes, and the dialogs over it. */
import type { Locator, Page } from '@playwright/test';

export class RoutesPage {
  readonly heading: Locator;
  readonly add: Locator;
  readonly history: Locator;
  readonly import: Locator;
  readonly table: Locator;
  readonly method: Locator;
  readonly path: Locator;
  readonly key: Locator;
  readonly try: Locator;
  readonly answer: Locator;
  readonly notice: Locator;

  constructor(readonly page: Page) {
    this.heading = page.getByRole('heading', { level: 1, name: 'Routes' });
    this.add = page.getByRole('link', { name: 'Add rule' });
    this.history = page.getByRole('link', { name: 'History' });
    this.import = page.getByRole('link', { name: 'Import' });
    this.table = page.locator('.behind').getByRole('table', { name: 'Rules in their order' });
    const form = page.getByRole('region', { name: 'Try a request' });
    this.method = form.getByLabel('Method');
    this.path = form.getByLabel('Path');
    this.key = form.getByLabel('With the key');
    this.try = form.getByRole('button', { name: 'Try' });
    this.answer = page.locator('#try-answer');
    this.notice = page.locator('main').getByRole('status');
  }

  preset(title: string): Locator {
    return this.page.getByRole('link', { name: title, exact: true });
  }

  /** The paths of the rules, in their order. */
  async paths(): Promise<string[]> {
    return this.table.locator('.route-path').allTextContents();
  }

  row(path: string): Locator {
    return this.table.getByRole('row').filter({ has: this.page.locator('.route-path').getByText(path, { exact: true }) });
  }

  act(name: 'Edit' | 'Delete', path: string): Locator {
    return this.row(path).getByRole('link', { name: new RegExp(`^${name} `) });
  }

  move(path: string, where: 'up' | 'down'): Locator {
    return this.row(path).getByRole('button', { name: new RegExp(` ${where}$`) });
  }

  async ask(method: string, path: string, key?: string): Promise<void> {
    await this.method.selectOption(method);
    await this.path.fill(path);
    await this.key.selectOption(key === undefined ? { value: '' } : { label: key });
    await this.try.click();
  }
}

export class RuleDialog {
  readonly dialog: Locator;
  readonly methods: Locator;
  readonly path: Locator;
  readonly keys: Locator;
  readonly everybody: Locator;
  readonly nobody: Locator;
  readonly scope: Locator;
  readonly resource: Locator;
  readonly place: Locator;
  readonly note: Locator;
  readonly submit: Locator;
  readonly remove: Locator;

  constructor(page: Page) {
    this.dialog = page.getByRole('dialog');
    this.methods = this.dialog.getByLabel('Methods');
    this.path = this.dialog.getByLabel('Path', { exact: true });
    this.keys = this.dialog.getByRole('radio', { name: /^Keys/ });
    this.everybody = this.dialog.getByRole('radio', { name: /^Everybody/ });
    this.nobody = this.dialog.getByRole('radio', { name: /^Nobody/ });
    this.scope = this.dialog.getByLabel('Scope');
    this.resource = this.dialog.getByLabel('On the resource');
    this.place = this.dialog.getByLabel('Place in the list');
    this.note = this.dialog.getByLabel('Note');
    this.submit = this.dialog.getByRole('button', { name: /^(Add|Save) rule$/ });
    this.remove = this.dialog.getByRole('button', { name: 'Delete rule' });
  }

  error(field: string): Locator {
    return this.dialog.locator(`#${field}-error`);
  }
}

export class ProposalDialog {
  readonly dialog: Locator;
  readonly rules: Locator;
  readonly accept: Locator;

  constructor(page: Page) {
    this.dialog = page.getByRole('dialog');
    this.rules = this.dialog.getByRole('table', { name: 'Rules in their order' });
    this.accept = this.dialog.getByRole('button', { name: /^Put in force/ });
  }
}

export class ImportDialog extends ProposalDialog {
  readonly document: Locator;
  readonly reading: Locator;
  readonly deleting: Locator;
  readonly variable: Locator;
  readonly kind: Locator;
  readonly show: Locator;

  constructor(page: Page) {
    super(page);
    this.document = this.dialog.getByLabel('OpenAPI document');
    this.reading = this.dialog.getByLabel('Reading: GET');
    this.deleting = this.dialog.getByLabel('Deleting: DELETE');
    this.variable = this.dialog.getByLabel('Name of an id in the paths');
    this.kind = this.dialog.getByLabel('Kind of that resource');
    this.show = this.dialog.getByRole('button', { name: 'Show the rules' });
  }
}
