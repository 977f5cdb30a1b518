from t0native.base.kernels import *
