@problemName Seed
@univariate true
@classLabel true 1 2
@data
1,2,3:1
3,2,1:2
