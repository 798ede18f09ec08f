/** This package's version, as the dispatcher is told. */
export const VERSION = "0.1.0";
