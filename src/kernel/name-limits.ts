/** PATH_MAX, linux/limits.h: the longest path or link target the kernel takes, its NUL included. */
export const PATH_MAX = 4096;
/** NAME_MAX, linux/limits.h: the longest single name, in bytes. */
export const NAME_MAX = 255;
/** XATTR_NAME_MAX, XATTR_SIZE_MAX and XATTR_LIST_MAX, linux/limits.h, in bytes. */
export const XATTR_NAME_MAX = 255;
export const XATTR_SIZE_MAX = 65536;
export const XATTR_LIST_MAX = 65536;
