/** Pages that stand still. */
import type { Page } from '@playwright/test';

/** Waits until nothing moves that will ever stand still: what turns for as long as something is on its way does not. */
export async function settle(page: Page): Promise<void> {
  await page.evaluate(async () => {
    const moving = document.getAnimations().filter(({ effect }) => effect?.getComputedTiming().endTime !== Infinity);
    // One whose element goes away may never say so.
    const patience = new Promise((resolve) => setTimeout(resolve, 1000));
    await Promise.race([patience, Promise.allSettled(moving.map((animation) => animation.finished))]);
  });
}
