//! timesclip
