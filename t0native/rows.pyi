from t0native.data.rows import *
