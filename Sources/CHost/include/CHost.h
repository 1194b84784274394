#ifndef CHOST_H
#define CHOST_H

/// The command line as `main` gets it, kept before `main` runs: Swift's standard library reads it from /proc, which a
/// sandbox may not have.
int peft_argument_count(void);
const char *_Nullable peft_argument(int index);

/// The path that the program was started by; NULL where the kernel doesn't say.
const char *_Nullable peft_executable(void);

/// Gives the standard streams that are closed a descriptor from which nothing can be read, or to which nothing can be
/// written, so that no file that is opened later gets their numbers.
void peft_occupy_standard_streams(void);

/// The number of processors that this process may run on.
int peft_available_processors(void);

#define PEFT_MASK_WORDS 16

/// The processors that the calling thread may run on, a bit each, in so many words.
void peft_processor_mask(unsigned long long *_Nonnull words);

/// The number of processors that this process could run on if whatever started it had not bound it to some.
int peft_reachable_processors(void);

/// The path of the shared library that a function is from; NULL where it isn't known.
const char *_Nullable peft_library_path(const void *_Nonnull symbol);

/// Gives the kernel the pages back that wait in the heap to be used again.
void peft_release_heap(void);

#endif
