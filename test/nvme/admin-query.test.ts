import { expect, test } from 'bun:test';
import { RdpullError } from '../../src/console/rdpull-error.ts';
import { openController } from '../../src/nvme/admin-query.ts';

test('a controller that is gone is an error of the kernel, and no defect of rdpull', () => {
  try {
    openController(99_999, '10.0.2.2:4420');
  } catch (error) {
    expect(error).toBeInstanceOf(RdpullError);
    expect(RdpullError.from(error)).toMatchObject({
      code: 'nvme-failed',
      message: '10.0.2.2:4420: its controller is gone (ENOENT: no such file or directory)',
    });
    return;
  }
  throw new Error('it was opened');
});
