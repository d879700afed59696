/**
 * systemd's names of architectures by Node's (systemd.unit(5), specifier `%a`): of those that rdpull runs on, the first two, and
 * of others that images and UKIs are made for.
 */
export const ARCHITECTURES: Readonly<Record<string, string>> = {
  x64: 'x86-64',
  arm64: 'arm64',
  riscv64: 'riscv64',
  loong64: 'loongarch64',
};
